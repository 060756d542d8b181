"""The mailnode command."""
