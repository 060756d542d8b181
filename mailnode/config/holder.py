"""The one holder of a process' configuration: rooms ask it when they need a value, or are told when others came."""

from __future__ import annotations

from collections.abc import Callable

from mailnode.config.schema import Config


class Holder:
    """Holds the configuration that is served, and the number of the state it belongs to.

    The number grows with everything that came into use while the server runs, the certificates too: processes that tell
    the same number serve the same.
    """

    def __init__(self, config: Config, generation: int = 1) -> None:
        self._config = config
        self._generation = generation
        self._told: list[Callable[[Config], None]] = []

    @property
    def config(self) -> Config:
        """That of the moment. It never changes; another one takes its place."""
        return self._config

    @property
    def generation(self) -> int:
        """The number of the state, from 1 on."""
        return self._generation

    def tell(self, told: Callable[[Config], None]) -> None:
        """Call with the configuration whenever something came into use from now on."""
        self._told.append(told)

    def swap(self, config: Config, generation: int | None = None) -> None:
        """Put another configuration in place of this one, or the same because something beside it has changed.

        :param generation: its number; None: the next one.
        """
        self._config = config
        self._generation = self._generation + 1 if generation is None else generation
        for told in self._told:
            told(config)
