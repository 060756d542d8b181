"""Every contract between rooms, as zope interfaces."""
