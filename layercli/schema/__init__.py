"""Pydantic base classes, field types and component catalogues for config and layers."""
