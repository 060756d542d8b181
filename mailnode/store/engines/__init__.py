"""Engines that run units of work, one for SQLite and one for PostgreSQL, behind one contract."""
