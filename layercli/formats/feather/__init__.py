"""Tables in Feather files, which are files of Arrow."""
