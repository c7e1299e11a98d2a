"""Pydantic models of the config: model, data, training and sweep."""
