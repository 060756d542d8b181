"""The life of a session: every pair of where it stands and what happens, and what holds on every way through it."""

import pytest

from mailnode.dialog.life import LIFE, Action, Input, Life

ENDS = (Input.DONE, Input.STUCK)  # of what runs

# Where each input leads; ">" the client has less time to read, "!" the last words are said, "-" what is held is given
# back; "." it cannot happen.
EXPECTED = """
         OPENED  EVENT   PAUSED  DONE     STUCK    DRAINED  END      TIMEOUT  FAILED   LOST
NEW      BUSY    .       .       .        .        .        CLOSED!- CLOSED!- CLOSED!- OVER-
OPEN     .       BUSY    .       .        .        .        CLOSED!- CLOSED!- CLOSED!- OVER-
BUSY     .       .       WAITING OPEN     FULL     .        ENDING>  ENDING   CLOSED!- GONE
WAITING  .       .       .       .        .        BUSY     LEFT!    ENDING   CLOSED!- GONE
FULL     .       .       .       .        .        OPEN     CLOSED!- CLOSED!- CLOSED!- OVER-
ENDING   .       .       LEFT!   CLOSED!- CLOSED!- ENDING   ENDING   ENDING   CLOSED!- GONE
LEFT     .       .       LEFT    CLOSED-  CLOSED-  LEFT     LEFT     LEFT     CLOSED-  GONE
CLOSED   CLOSED  CLOSED  .       .        .        CLOSED   CLOSED   CLOSED   CLOSED   OVER
GONE     .       .       GONE    OVER-    OVER-    GONE     GONE     GONE     OVER-    .
OVER     .       OVER    .       .        .        OVER     OVER     OVER     OVER     .
"""


def pairs():
    head, *rows = EXPECTED.strip().splitlines()
    for row in rows:
        life, *cells = row.split()
        for happened, cell in zip(head.split(), cells, strict=True):
            yield pytest.param(Life[life], Input[happened], cell, id=f"{life}-{happened}")


@pytest.mark.parametrize(("life", "happened", "expected"), list(pairs()))
def test_every_pair(life, happened, expected):
    step = LIFE[life].get(happened)
    if expected == ".":
        assert step is None
        return
    marks = {Action.HURRY: ">", Action.LEAVE: "!", Action.GIVE_BACK: "-"}
    assert step.to.name + "".join(marks[action] for action in step.at_once) == expected
    assert (step.then is Action.RUN) == (step.to is Life.BUSY and life is not Life.WAITING)
    assert (step.then is Action.DRAIN) == (step.to is Life.FULL)


def test_the_expectation_has_all_pairs():
    assert len(list(pairs())) == len(Life) * len(Input)
    assert set(LIFE) == set(Life)


def test_on_every_way_what_is_held_is_given_back_once_and_never_while_something_runs():
    seen, ways = set(), [(Life.NEW, 0, 0, 0)]
    while ways:
        way = ways.pop()
        if way in seen:
            continue
        seen.add(way)
        life, running, words, given = way
        assert running <= 1 and words <= 1 and given <= 1
        assert not (given and running), f"given back under what runs: {life}"
        assert (life in (Life.CLOSED, Life.OVER)) == bool(given)
        for happened, step in LIFE[life].items():
            if happened in ENDS and not running:
                continue  # nothing runs that could be done
            runs = running - (happened in (*ENDS, Input.FAILED) and running) + (step.then is Action.RUN)
            ways.append(
                (step.to, runs, words + (Action.LEAVE in step.at_once), given + (Action.GIVE_BACK in step.at_once))
            )
    assert {life for life, *_ in seen} == set(Life)
