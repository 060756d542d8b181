"""Plain data every room shares: addresses, envelopes, flags, sets, names, facts, changes."""
