"""What the commands and the Python API do, without a command line."""
