"""Measures mailnode beside Debian's Postfix and Dovecot: ``python -m benchmarks``."""
