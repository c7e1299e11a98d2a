"""The catalogue: what every layer type takes, gives, holds and costs, without a framework."""
