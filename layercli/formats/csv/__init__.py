"""Tables of comma-separated values."""
