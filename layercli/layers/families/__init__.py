"""The Keras layers, one module for each family."""
