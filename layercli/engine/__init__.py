"""The only package that imports keras and tensorflow at module level."""

from layercli.engine.startup import start_keras

start_keras()
