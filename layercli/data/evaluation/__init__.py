"""Results of a model over examples: they take predictions batch by batch, in bounded memory."""
