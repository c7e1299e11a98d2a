"""Results as terminal tables, text and JSON."""
