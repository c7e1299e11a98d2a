"""Base classes that several layer families share."""
