"""A YAML file declares a stack of Keras layers; layercli checks, builds and trains it."""

__version__ = "0.1.0"
