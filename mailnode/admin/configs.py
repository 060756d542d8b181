"""Operations on the configuration of a running server: compared, taken over, tried out."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Applied, ConfigComparison, RunningServer, VersionRecord
from mailnode.admin.operations import Count, OperationFailed, Reason, Seconds, operation
from mailnode.errors import ConfigurationError

LONGEST_TRIAL = 86_400  # seconds
NO_VERSION, NO_TRIAL = Count(0), Seconds(0)


class Confirmed(TypedDict):
    """A configuration that stays."""

    version: int


@operation("config.diff")
async def config_diff(server: RunningServer, version: Count = NO_VERSION) -> ConfigComparison:
    """Compare what the server uses with its file, or with a version."""
    try:
        return await server.configs.compare(version)
    except ConfigurationError as error:
        raise _failed(error) from None


@operation("config.apply", changes=True)
async def config_apply(server: RunningServer, confirm: Seconds = NO_TRIAL) -> Applied:
    """Take the configuration file over."""
    if confirm > LONGEST_TRIAL:
        raise OperationFailed(Reason.WRONG_VALUE, f"confirm: {LONGEST_TRIAL} seconds at most")
    try:
        return await server.configs.apply(confirm)
    except ConfigurationError as error:
        raise OperationFailed(Reason.FAILED, "\n".join(["nothing was taken over", *error.mistakes])) from None


@operation("config.confirm", changes=True)
async def config_confirm(server: RunningServer) -> Confirmed:
    """Let the configuration that is on trial stay."""
    try:
        return {"version": await server.configs.confirm()}
    except ConfigurationError as error:
        raise _failed(error) from None


@operation("config.versions")
async def config_versions(server: RunningServer) -> list[VersionRecord]:
    """The configurations that were taken over, the oldest first."""
    try:
        return await server.configs.versions()
    except ConfigurationError as error:
        raise _failed(error) from None


def _failed(error: ConfigurationError) -> OperationFailed:
    return OperationFailed(Reason.FAILED, "\n".join(error.mistakes))
