"""Whose process this is: the command line's own, or that of a person who imports layercli."""

is_ours = False
"""Set by the console script before anything else; only then may the process be made lean."""
