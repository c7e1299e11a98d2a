"""A model in another form: written, loaded by the runtime that it is for, and held against the original."""
