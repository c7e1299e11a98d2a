"""The run directory: written while a training goes on, listed and compared afterwards."""
