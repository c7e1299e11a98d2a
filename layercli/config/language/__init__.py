"""Variables, blocks and repeats: the config language, expanded into a flat document."""
