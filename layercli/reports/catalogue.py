"""stub"""
import yaml
from layercli.layers.registry import LAYERS
def example_of(name):
    return yaml.safe_load(LAYERS.load(name).__doc__.split("Example:")[1])
