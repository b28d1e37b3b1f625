"""The command line. Thin: it parses, calls one function of the layers below, and shows what that returned.

Knows words, exit codes and terminals; decides nothing. A command lives in the module that `app.SECTIONS` names,
and is imported when it is used, so that `atles status` does not wait for what `atles chat` needs.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script `atles`."""
    from atles.cli.app import atles

    # A terminal that cannot show a character gets its escape, not a traceback; in JSON that is still JSON.
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    atles.main(arguments, prog_name="atles")
