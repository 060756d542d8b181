"""The server's own secret, which outlives restarts: what is derived from it stays the same."""

from __future__ import annotations

import secrets
from pathlib import Path

SECRET_OCTETS = 32


def server_secret(data: Path) -> bytes:
    """Return the server's own secret, made at the first start. Blocks."""
    path = data / "secret"
    try:
        secret = path.read_bytes()
        if len(secret) == SECRET_OCTETS:
            return secret
    except FileNotFoundError:
        pass
    secret = secrets.token_bytes(SECRET_OCTETS)
    new = data / "secret.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(secret)
    new.replace(path)
    return secret
