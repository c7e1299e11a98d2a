"""The workflows behind the commands and the Python API, without a command line."""
