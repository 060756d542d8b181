"""Where the listeners of a process get their sockets from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mailnode.config.schema import Config
from mailnode.net.listeners import HandedOver, Listener, bind_all


class Ports(Protocol):
    """The sockets of one process."""

    def numbers(self, config: Config) -> Sequence[int]:
        """Return which of the configuration's listeners this process has, from 0."""

    async def bind(self, listeners: Mapping[int, Listener]) -> None:
        """Give these listeners their sockets. :raises ConfigurationError: none was taken."""


class OwnPorts:
    """Those of the first process, which binds all there are."""

    def numbers(self, config: Config) -> Sequence[int]:
        """See :class:`Ports`."""
        return range(len(config.listener))

    async def bind(self, listeners: Mapping[int, Listener]) -> None:
        """See :class:`Ports`."""
        await bind_all(list(listeners.values()))


class InheritedPorts:
    """Those of a further process: the first one has bound them."""

    def __init__(self, places: Mapping[int, HandedOver]) -> None:
        """:param places: the sockets, by the listener's number."""
        self._places = places

    def numbers(self, config: Config) -> Sequence[int]:
        """See :class:`Ports`."""
        return list(self._places)

    async def bind(self, listeners: Mapping[int, Listener]) -> None:
        """See :class:`Ports`."""
        for number, place in self._places.items():
            listeners[number].adopt(place)
