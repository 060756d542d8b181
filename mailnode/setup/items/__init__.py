"""What setup looks at and does, one thing a file."""
