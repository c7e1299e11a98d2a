"""One file for each command: parse the command line, call a workflow, print the result."""
