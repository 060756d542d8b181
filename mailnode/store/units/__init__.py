"""Units of work: the SQL, by noun. Functions of a transaction and plain data."""
