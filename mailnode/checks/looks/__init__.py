"""The checks, one file a thing, each with its rows in ``CHECKS``. A new check is a file more."""
