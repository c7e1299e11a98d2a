"""Whose process this is: the command line's own, or that of a person who imports layercli."""

from typing import NamedTuple


class Cluster(NamedTuple):
    """Processes that train one model together, and which of them this one is, from 0."""

    rank: int
    size: int


is_ours = False
"""Set by the console script before anything else; only then may the process be made lean."""

cluster: Cluster | None = None
"""Set before TensorFlow is loaded, where this process is one of several."""
