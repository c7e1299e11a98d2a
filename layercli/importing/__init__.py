"""Keras's own description of a model in, a config out; no framework is loaded."""
