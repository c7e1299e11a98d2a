"""Read-only checks across layers, data and training."""
