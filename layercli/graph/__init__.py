"""The graph of a model: nodes, static shapes, checks and comparison."""
