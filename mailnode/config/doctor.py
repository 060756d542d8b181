"""The settings of ``mailnode doctor``: ``[doctor]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailnode.config.fields import DomainName, FilePath, MailboxOrNone, Seconds, Section
from mailnode.values.doctor import DoctorSettings

_USUAL = DoctorSettings()


class Doctor(Section):
    """What ``mailnode doctor`` looks at, and when the server does so by itself (:doc:`doctor`)."""

    daily: bool = Field(
        True,
        description="Whether the server looks once a day, and sends mail when something has changed since it did so before.",
    )
    hour: Annotated[int, Field(ge=0, le=23)] = Field(_USUAL.hour, description="From which hour on (UTC).")
    tell: MailboxOrNone = Field(
        "",
        description="The address that is told, beside accounts with the role admin. Empty: postmaster of the first domain in the "
        "order of their names.",
    )
    mail_servers: Annotated[list[DomainName], Field(max_length=8)] = Field(
        list(_USUAL.mail_servers),
        description="Domains whose mail servers are greeted to see whether port 25 is open outwards. Empty: it is not tried.",
    )
    block_lists: Annotated[list[DomainName], Field(max_length=32)] = Field(
        list(_USUAL.block_lists),
        description="Lists of addresses in DNS (RFC 5782) that are asked about those of this server. Empty: none.",
    )
    time_servers: Annotated[list[DomainName], Field(max_length=8)] = Field(
        list(_USUAL.time_servers), description="Servers that are asked for the time (SNTP). Empty: none."
    )
    backups: FilePath | None = Field(
        None, description="The directory that ``mailnode backup`` writes to, whose latest backup is looked at."
    )
    backup_age: Seconds = Field(_USUAL.backup_age, description="The age from which on the latest backup is too old.")
    unit: Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.@-]{1,200}$")] = Field(
        _USUAL.unit, description="What systemd calls the server."
    )

    def settings(self) -> DoctorSettings:
        """Return what checks go by."""
        return DoctorSettings(
            self.daily,
            self.hour,
            self.tell,
            tuple(self.mail_servers),
            tuple(self.block_lists),
            tuple(self.time_servers),
            str(self.backups or ""),
            self.backup_age,
            self.unit,
        )
