"""The config as nodes that feed one another, and what flows along them."""
