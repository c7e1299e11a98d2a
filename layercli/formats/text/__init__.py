"""Texts in files, one folder for each class, or in a column of a table."""
