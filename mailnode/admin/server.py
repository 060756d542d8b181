"""Operations on the running server itself."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration, Reloaded, RunningServer, ServerStatus
from mailnode.admin.operations import OperationFailed, Reason, operation


class PingAnswer(TypedDict):
    """Who answers."""

    running: bool  # a server; False: its store


@operation("reload", changes=True)
async def reload(server: RunningServer) -> Reloaded:
    """Read the configuration and the certificates again."""
    result = await server.reload()
    if result["mistakes"]:
        raise OperationFailed(Reason.FAILED, "\n".join(["nothing was taken over", *result["mistakes"]]))
    return result


@operation("status")
async def status(server: RunningServer) -> ServerStatus:
    """What each process of the server serves."""
    return await server.status()


@operation("ping")
async def ping(admin: Administration) -> PingAnswer:
    """Whether a server answers."""
    return {"running": admin.server is not None}
