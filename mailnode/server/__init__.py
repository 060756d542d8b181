"""The whole server: what a process consists of, put together, started in order and stopped in reverse."""
