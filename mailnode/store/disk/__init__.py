"""The data directory: who holds it, what is kept back on its disk, whether files keep their names."""
