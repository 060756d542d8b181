"""Directory, account partitions, queue and blobs on SQLite or PostgreSQL."""
