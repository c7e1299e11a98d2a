"""Files: atomic writing, locks between processes, paths."""
