"""A file a command: load, check, do, report."""
