"""What ATLES costs, measured. `python -m bench`; see README.md beside this file. Never part of the tests."""
