"""The Sieve language (RFC 5228): a script and facts of a message in, a list of actions out. No clock, no store, no net."""
