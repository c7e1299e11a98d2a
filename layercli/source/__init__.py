"""YAML input and output; every value that is read knows its file, line and column."""
