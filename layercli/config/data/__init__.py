"""Pydantic models of the `data` section."""
