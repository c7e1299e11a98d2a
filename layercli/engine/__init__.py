"""The only place that imports keras and tensorflow: assemble, feed, fit, save."""

from layercli.engine.startup import start_keras

start_keras()
