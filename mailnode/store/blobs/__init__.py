"""Message bytes, written once."""
