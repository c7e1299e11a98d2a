"""The layer catalogue: inputs, outputs, weights and cost of every layer type, without a framework."""
