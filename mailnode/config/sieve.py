"""The settings of filter scripts: ``[sieve]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailnode.config.fields import FilePath, Octets, Section
from mailnode.values.scripts import ScriptQuota

_USUAL = ScriptQuota()


class Sieve(Section):
    """Filter scripts of accounts (:doc:`sieve`)."""

    enabled: bool = Field(True, description="Whether scripts are run, and can be stored over ManageSieve.")
    scripts: Annotated[int, Field(ge=1, le=1000)] = Field(
        _USUAL.scripts, description="How many scripts an account may keep."
    )
    script_size: Octets = Field(_USUAL.size, description="Of one script, at most 1 MiB.")
    total_size: Octets = Field(
        _USUAL.total, description="Of all scripts of an account; older versions are not counted."
    )

    before: list[FilePath] = Field(
        [], description="Scripts that run before those of accounts, in this order, on all mail that comes to accounts."
    )
    after: list[FilePath] = Field(
        [], description="Scripts that run after those of accounts, as long as a message is to be kept."
    )
    global_scripts: FilePath | None = Field(
        None,
        description="A directory with scripts, each in a file ``NAME.sieve``, that all others may include by their names "
        "(``include :global``).",
    )

    def quota(self) -> ScriptQuota:
        """Return what an account may keep."""
        return ScriptQuota(self.scripts, self.script_size, self.total_size)
