"""Conversion of Keras's description of a model to a config, without TensorFlow."""
