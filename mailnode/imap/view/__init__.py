"""The selected mailbox as one client was told of it: arrays, their numbers, what is to be announced. Pure."""
