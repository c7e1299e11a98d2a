"""A config as a Keras script that a person would have written: it needs no layercli."""
