"""Every number that people see, each from one place."""
