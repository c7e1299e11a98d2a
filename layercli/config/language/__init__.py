"""The config language: expansion of variables, blocks and repeats into a flat document."""
