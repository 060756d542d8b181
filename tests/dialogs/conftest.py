"""The fixtures of :mod:`imap_stores`."""

from imap_stores import file_world, make_world

__all__ = ["file_world", "make_world"]
