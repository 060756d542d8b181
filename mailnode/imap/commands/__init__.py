"""One file a noun: what a command is, how its arguments are read, its rows of the table, its answer."""
