"""."""

ROWS: list = []
