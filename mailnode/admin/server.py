"""Operations on the running server itself."""

from __future__ import annotations

from typing import Any

from mailnode.admin.administration import Administration
from mailnode.admin.operations import FAILED, CommandFailed, command


@command("reload", changes=True)
async def reload(admin: Administration) -> Any:
    """Read the configuration and the certificates again."""
    if admin.reload is None:
        raise CommandFailed(FAILED, "no server is running on this data directory")
    result = await admin.reload()
    if result["mistakes"]:
        raise CommandFailed(FAILED, "\n".join(["nothing was taken over", *result["mistakes"]]))
    return result


@command("status")
async def status(admin: Administration) -> Any:
    """What each process of the server serves."""
    if admin.status is None:
        raise CommandFailed(FAILED, "no server is running on this data directory")
    return await admin.status()


@command("ping")
async def ping(admin: Administration) -> Any:
    """Whether a server answers."""
    return {"running": admin.reload is not None}
