"""Pydantic models of the config: model, data and training."""
