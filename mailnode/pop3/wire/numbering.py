"""The messages of a session by their numbers, and which of them are marked as deleted (RFC 1939 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterator

from mailnode.values.mailbox import PopMessage


class Numbering:
    """Numbers stay as they were at login, whatever happens to the messages."""

    def __init__(self, messages: tuple[PopMessage, ...] = ()) -> None:
        self._messages = messages
        self._marked: set[int] = set()
        self._all_octets = sum(message.size for message in messages)
        self._marked_octets = 0  # kept, not summed up: a hundred thousand messages take 10 ms, each STAT anew

    def get(self, number: int) -> PopMessage | None:
        """The message of that number, from 1, unless it does not exist or is marked."""
        if not 1 <= number <= len(self._messages) or number in self._marked:
            return None
        return self._messages[number - 1]

    def mark(self, number: int) -> None:
        """Mark a message that :meth:`get` returned."""
        if number not in self._marked:
            self._marked.add(number)
            self._marked_octets += self._messages[number - 1].size

    def unmark_all(self) -> None:
        """RSET."""
        self._marked.clear()
        self._marked_octets = 0

    def left(self) -> Iterator[tuple[int, PopMessage]]:
        """Numbers and messages that are not marked."""
        return ((n, message) for n, message in enumerate(self._messages, 1) if n not in self._marked)

    @property
    def count(self) -> int:
        """How many are not marked."""
        return len(self._messages) - len(self._marked)

    @property
    def octets(self) -> int:
        """The sum of their sizes."""
        return self._all_octets - self._marked_octets

    @property
    def marked(self) -> list[PopMessage]:
        """The marked ones, ascending."""
        return [self._messages[number - 1] for number in sorted(self._marked)]
