"""Arrays that a Python function returns."""
