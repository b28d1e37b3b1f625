"""What the tests of faults share: what became of a home's sessions, and disks that fail."""
