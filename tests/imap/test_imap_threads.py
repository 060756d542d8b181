"""Threads as RFC 5256 makes them, and REFS, held against a slow reading of it, on mailboxes made to be difficult."""

import random
import re
from array import array

import pytest
import slow_threads
from slow_threads import Mail

from mailnode.imap.messages.descent import Forest, LinkCutTree
from mailnode.imap.messages.threads import ALGORITHMS, Threaded, ordered_subject, references, thread_lists


def given(messages):
    """What the server compares of these messages."""
    numbers = {}

    def number(name):
        return numbers.setdefault(name, len(numbers) + 1)

    links = array("q")
    for mail in messages:
        links.extend(
            [number(mail.id) if mail.id is not None else 0, len(mail.references), *map(number, mail.references)]
        )
    return Threaded(
        [mail.date for mail in messages],
        [mail.subject.encode() for mail in messages],
        [mail.reply for mail in messages],
        links,
    )


def said(algorithm, messages):
    return thread_lists(ALGORITHMS[algorithm](given(messages)), range(1, len(messages) + 1))


def nasty(seed, size):
    """A mailbox with loops, truncated and reordered references, ids used twice, and few different dates and subjects."""
    chance = random.Random(seed)
    names = [f"id{number}" for number in range(max(2, size * chance.randint(5, 15) // 10))]
    subjects = ["", "a", "b", "c", "d", "e"][: chance.randint(1, 6)]
    messages = []
    for _ in range(size):
        near = chance.randrange(len(names))
        pool = names[max(0, near - 6) : near + 3] if chance.random() < 0.7 else names
        references = [chance.choice(pool) for _ in range(chance.choice([0, 0, 1, 1, 2, 3, 7]))]
        own = chance.choice([None, chance.choice(names), chance.choice(pool), chance.choice(pool)])
        if own and references and chance.random() < 0.1:
            references.append(own)  # refers to itself
        messages.append(
            Mail(
                own,
                references,
                chance.randint(0, size),
                chance.choice(subjects),
                chance.random() < 0.5,
            )
        )
    return messages


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_threads_are_those_of_the_specification_read_slowly(algorithm):
    slow = {"ORDEREDSUBJECT": slow_threads.ordered_subject, "REFERENCES": slow_threads.references}
    slow["REFS"] = slow_threads.refs
    for seed in range(600):
        messages = nasty(seed, seed % 40)
        assert said(algorithm, messages) == slow_threads.said(slow[algorithm](messages)), seed


def test_cut_and_linked_again_and_again_threads_are_still_those_of_the_specification():
    """Every message finds its id below another already, and goes elsewhere."""
    for seed in range(40):
        chance = random.Random(seed)
        ids = [f"id{number}" for number in range(60)]
        messages = []
        for own in chance.sample(ids, 60):
            line = chance.sample(ids, 8)
            messages.append(Mail(own, line, chance.randint(0, 9), "s", chance.random() < 0.5))
        assert said("REFERENCES", messages) == slow_threads.said(slow_threads.references(messages)), seed


# IMAP trap 43: loops, the same ID twice, references to itself
@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], b""),
        ([Mail("a")], b"(1)"),
        ([Mail("a"), Mail("b", ["a"]), Mail("c", ["a", "b"])], b"(1 2 3)"),
        ([Mail("a"), Mail("b", ["a"]), Mail("c", ["a"])], b"(1 (2)(3))"),
        # Siblings whose parent is not there.
        ([Mail("a", ["x"]), Mail("b", ["x"])], b"((1)(2))"),
        ([Mail("a", ["x"])], b"(1)"),
        # A chain of ids that nobody has.
        ([Mail("a", ["x", "y", "z"]), Mail("b", ["x"])], b"((1)(2))"),
        # The second is older than the first, whose answer it is.
        ([Mail("b", ["a"], 2), Mail("a", [], 1)], b"(2 1)"),
        # A loop of two, a message that refers to itself, an id used twice.
        ([Mail("a", ["b"]), Mail("b", ["a"])], b"(2 1)"),
        ([Mail("a", ["a"])], b"(1)"),
        ([Mail("a"), Mail("a", ["a"]), Mail("b", ["a"])], b"(1 (2)(3))"),
        # Joined by subject: a reply goes below what it replies to; two originals, and two replies, become siblings.
        ([Mail("a", subject="s"), Mail("b", subject="s", reply=True)], b"(1 2)"),
        ([Mail("a", subject="s"), Mail("b", subject="s")], b"((1)(2))"),
        ([Mail("a", subject="s", reply=True), Mail("b", subject="s", reply=True)], b"((1)(2))"),
        ([Mail("a", subject="s", reply=True), Mail("b", subject="s", date=1)], b"(2 1)"),
        ([Mail("a"), Mail("b", reply=True)], b"(1)(2)"),
        # A dummy takes in a thread of its subject.
        ([Mail("a", ["x"], 1, "s"), Mail("b", ["x"], 2, "s"), Mail("c", [], 0, "s")], b"((3)(1)(2))"),
        (
            [Mail("a", ["x"], 1, "s"), Mail("b", ["x"], 2), Mail("c", ["y"], 0, "s"), Mail("d", ["y"], 9)],
            b"((3)(1)(2)(4))",
        ),
    ],
)
def test_references(messages, expected):
    assert said("REFERENCES", messages) == expected
    assert slow_threads.said(slow_threads.references(messages)) == expected


def test_the_example_of_the_specification_is_said_as_it_stands_there():
    # RFC 5256 BASE.7.2.THREAD
    ids = {2: (), 3: (), 6: (3,), 4: (3, 6), 23: (3, 6, 4), 44: (3, 6), 7: (3, 6, 44), 96: (3, 6, 44, 7)}
    messages = [
        Mail(str(number), [str(one) for one in above], date) for date, (number, above) in enumerate(ids.items())
    ]
    assert thread_lists(references(given(messages)), list(ids)) == b"(2)(3 6 (4 23)(44 7 96))"


@pytest.mark.parametrize("make", ["chain", "backwards", "fan", "cut"])
def test_a_hundred_thousand_messages_are_one_thread(make):
    count = 100_000
    links = array("q")
    for number in range(1, count + 1):
        above = {
            "chain": [number - 1],
            "backwards": [number + 1],
            "fan": [1],
            "cut": [number - 1, count + 1, number + 1],
        }
        references = [one for one in above[make] if 0 < one <= count + (make == "cut") and one != number]
        links.extend([number, len(references), *references])
    threads = references_of(links, count)
    text = thread_lists(threads, range(1, count + 1))
    assert len(threads.roots) == 1
    assert sorted(map(int, re.findall(rb"[0-9]+", text))) == list(range(1, count + 1))
    assert text.count(b"(") == {"chain": 1, "backwards": 1, "fan": count}.get(make, text.count(b"("))


def references_of(links, count):
    return references(Threaded([*range(count)], [b"s"] * count, [False] * count, links))


def test_ordered_subject_makes_no_grandchildren():
    messages = [
        Mail(date=3, subject="a"),
        Mail(date=1, subject="b"),
        Mail(date=1, subject="a"),
        Mail(subject="a", date=9),
    ]
    threads = ordered_subject(given(messages))
    assert thread_lists(threads, range(1, 5)) == b"(2)(3 (1)(4))"


def test_a_forest_that_is_cut_knows_what_would_close_a_loop():
    chance = random.Random(5)
    for _ in range(60):
        size = 30
        forest, parents = Forest(), [-1] * size
        forest.add(size)
        for _ in range(200):
            one, other = chance.randrange(size), chance.randrange(size)
            if parents[other] >= 0 and chance.random() < 0.6:
                forest.cut(other)
                parents[other] = -1
            if parents[other] < 0:
                forest.link(one, other)
                node = one
                while node >= 0 and node != other:
                    node = parents[node]
                if node != other:
                    parents[other] = one
            assert forest.parents == parents
            paths = LinkCutTree(parents)
            root = one
            while parents[root] >= 0:
                root = parents[root]
            assert paths.root(one) == root
