"""Static checks across layers, data and training."""
