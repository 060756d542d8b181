"""RFC 5322 and MIME: bytes in, facts out; and the fields and messages we compose."""
