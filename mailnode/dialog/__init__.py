"""The life of a session, whatever its protocol."""
