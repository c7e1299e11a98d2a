"""Named arrays in one file, written by ``numpy.savez``."""
