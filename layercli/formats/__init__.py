"""Types of data, one folder each: ``config.py``, ``reader.py`` and ``script.py``; see ``registry``."""
