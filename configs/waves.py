"""Data made by a function: waves of three shapes, with noise."""

import numpy as np


def make(samples: int = 600, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Waves of shape (samples, 64, 1), and the name of each one's shape."""
    rng = np.random.default_rng(0)
    shapes = rng.choice(["sine", "square", "saw"], samples)
    phase = np.linspace(0, 4 * np.pi, 64) + rng.uniform(0, 2 * np.pi, (samples, 1))
    waves = np.where(shapes[:, None] == "sine", np.sin(phase), np.sign(np.sin(phase)))
    waves = np.where(shapes[:, None] == "saw", (phase / np.pi) % 2 - 1, waves)
    return (waves + rng.normal(0, noise, waves.shape))[..., None].astype("float32"), shapes
