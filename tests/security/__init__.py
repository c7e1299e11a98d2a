"""Attacks by configs, data and files that must do no harm."""
