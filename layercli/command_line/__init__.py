"""Command lines for all commands: shared options, usage errors, completion in shells."""
