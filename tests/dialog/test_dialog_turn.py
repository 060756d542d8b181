"""Who speaks in a session."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailnode.dialog.turn import Turn


def test_one_at_a_time_in_the_order_in_which_they_asked() -> None:
    turn = Turn()
    spoke: list[str] = []

    async def speak(name: str, pause: Deferred[None]) -> None:
        await turn.take()
        spoke.append(name)
        await pause
        turn.give()

    pauses: list[Deferred[None]] = [Deferred() for _ in "abc"]
    for name, pause in zip("abc", pauses, strict=True):
        Deferred.fromCoroutine(speak(name, pause))
    assert spoke == ["a"] and turn.taken
    pauses[0].callback(None)
    assert spoke == ["a", "b"]
    pauses[2].callback(None)
    assert spoke == ["a", "b"]
    pauses[1].callback(None)
    assert spoke == ["a", "b", "c"] and not turn.taken
    Deferred.fromCoroutine(speak("d", Deferred()))
    assert spoke[-1] == "d" and turn.taken
