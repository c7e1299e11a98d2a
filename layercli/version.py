"""The version of layercli."""

__version__ = "0.1.0"
