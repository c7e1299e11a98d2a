"""Image files, one folder for each class."""
