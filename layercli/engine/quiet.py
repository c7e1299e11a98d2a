"""TensorFlow's start-up chatter, kept off the screen."""

from __future__ import annotations

import os


def silence() -> None:
    """Ask TensorFlow for errors alone, unless the person has set a level; must run before its first import."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
