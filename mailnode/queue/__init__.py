"""The queue's runner and its schedule."""
