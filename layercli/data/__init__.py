"""Readers, a file a format: arrays out, no TensorFlow."""
