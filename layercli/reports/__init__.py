"""Plain data in, terminal tables or JSON out."""
