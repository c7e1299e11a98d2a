"""Pydantic models of the `train` section and the catalogue of its components."""
