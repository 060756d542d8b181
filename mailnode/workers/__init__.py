"""Several processes on the same listeners: the link between them, and who starts and replaces them."""
