"""Arrays in files, written by ``numpy.save``."""
