"""The configuration's schema and loader."""
