"""Listeners, TLS, the resolver, threads and outgoing connections."""
