"""What the doctor is told by the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """Whom checks ask, and when they look by themselves."""

    daily: bool = True
    hour: int = 6  # of the day, UTC
    tell: str = ""  # the address that news go to; "": postmaster of the first domain
    mail_servers: tuple[str, ...] = ("gmail.com", "outlook.com")  # domains whose MX are dialled
    block_lists: tuple[str, ...] = ("zen.spamhaus.org", "bl.spamcop.net")
    time_servers: tuple[str, ...] = ("time.cloudflare.com", "time.google.com")
    backups: str = ""  # the directory that is looked at; "": none
    backup_age: float = 129_600.0  # seconds, that the latest may have
    unit: str = "mailnode.service"
