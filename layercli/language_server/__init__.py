"""The language server: shapes, problems, completion and navigation in an editor, from the functions of the commands."""
