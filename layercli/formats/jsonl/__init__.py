"""Tables in JSON lines: a JSON object on each line."""
