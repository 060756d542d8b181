"""What scripts may say, one extension of the language a file."""
