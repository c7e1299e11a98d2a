"""Run directories: written during training, listed and compared afterwards."""
