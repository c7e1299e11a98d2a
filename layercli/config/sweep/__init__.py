"""Pydantic models of sweep files."""
