"""Copies of a whole store: made while it is in use, kept in a directory of their own, put back."""
