"""YAML text in, values that know their file, line and column out."""
