"""IMAP4rev1, IMAP4rev2, and extensions of them."""
