"""From an accepted message to a mailbox or to another server."""
