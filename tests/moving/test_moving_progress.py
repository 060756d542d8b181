"""How far something has come, for people."""

import io

import pytest

from mailnode.ctl import progress


class StandingStill:
    """A clock that goes by hand."""

    now = 1.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        raise AssertionError


def shown(monkeypatch, is_terminal):
    text = io.StringIO()
    text.isatty = lambda: is_terminal
    monkeypatch.setattr("sys.stderr", text)
    clock = StandingStill()
    return progress.ShownProgress(clock), clock, text


def test_a_bar_on_a_terminal(monkeypatch):
    bar, clock, text = shown(monkeypatch, True)
    bar.folder("In\x1bbox", 4)
    bar.done(1)
    clock.now += 1
    bar.done(1)
    bar.done(2)
    bar.end()
    states = text.getvalue().replace("\x1b[K", "").split("\r")[1:]
    assert [state.strip() for state in states] == [
        f"[{'.' * 30}] 0/4 In?box",
        f"[{'#' * 15}{'.' * 15}] 2/4 In?box",
        f"[{'#' * 30}] 4/4 In?box",
    ]
    assert text.getvalue().endswith("\n")


def test_a_line_a_folder_elsewhere(monkeypatch):
    bar, _, text = shown(monkeypatch, False)
    bar.folder("INBOX", 4)
    bar.done(4)
    bar.waits("old.test: it does not answer; trying again in 1 s")
    bar.folder("Work", 0)
    bar.end()
    assert text.getvalue() == "INBOX: 4 messages\nold.test: it does not answer; trying again in 1 s\nWork: 0 messages\n"


@pytest.mark.parametrize("messages", [0, 1])
def test_an_empty_folder_is_full(monkeypatch, messages):
    bar, _, text = shown(monkeypatch, True)
    bar.folder("x", messages)
    assert ("#" * 30 in text.getvalue()) == (not messages)
