"""Examples, splits, tables, checks and statistics; no TensorFlow."""
