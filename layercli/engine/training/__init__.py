"""The training loop, its checkpoints and their exact restoration."""
