"""Chains of commands over generated configs, data files and runs: whatever a user brings is answered with a sentence."""
