"""Readers, one module for each data type."""
