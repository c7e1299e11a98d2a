"""Export formats: write a model, run it in the runtime of the format, and compare it with the original."""
