"""The page of one or several runs, as HTML."""
