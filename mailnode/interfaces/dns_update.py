"""Changes of zones elsewhere."""

from __future__ import annotations

from zope.interface import Interface

from mailnode.values.dns_update import UpdateServer, ZoneChange


class IZoneUpdates(Interface):
    """Changes zones by RFC 2136."""

    async def update(server: UpdateServer, change: ZoneChange) -> None:
        """Change a zone; return when its server says that it has.

        :raises mailnode.errors.UpdateFailed: nothing was changed, or the answer got lost; the text says why, in words.
        """
