"""`python -m atles` is `atles`."""

from atles.cli import main

main()
