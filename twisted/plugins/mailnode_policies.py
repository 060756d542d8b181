"""The policies that come with the server; nothing of one is imported until it is asked for."""
