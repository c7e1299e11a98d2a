"""Pydantic base classes, field types and catalogues that config and layers share."""
