"""What is looked at on the machine, in DNS and in the store, one thing a file, and what is said of it."""
