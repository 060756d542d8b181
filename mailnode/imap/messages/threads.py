"""Threads of messages: ORDEREDSUBJECT and REFERENCES (RFC 5256), and REFS, which joins no threads by their subjects.

Messages are numbers from 0 in the order of the mailbox. Nothing here is recursive: a thread may be as deep as the mailbox
is large. May run in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mailnode.imap.messages.descent import Forest


@dataclass(frozen=True, slots=True)
class Threaded:
    """What threads are made of, by message. ``dates`` are sent dates; ``subjects`` base subjects as they are compared;
    ``replies`` whether the subject says that it is a reply or a forward; ``links`` for each message its own id (0: it has
    none), how many references it has, and those, oldest first."""

    dates: Sequence[int]
    subjects: Sequence[bytes] = ()
    replies: Sequence[int] = ()
    links: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ThreadTrees:
    """Threads in their order. A root below 0 is no message: its children are siblings without a parent.
    ``children`` of those that have any, in their order. ``only``: of roots that stand in the place of something which is no
    message, as its only children, what that is: a number that is higher the later it was first named."""

    roots: list[int] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)
    only: dict[int, int] = field(default_factory=dict)


def ordered_subject(given: Threaded) -> ThreadTrees:
    """Return threads by ORDEREDSUBJECT (RFC 5256 3): one for each base subject, without grandchildren."""
    by_date = sorted(range(len(given.dates)), key=given.dates.__getitem__)
    threads = ThreadTrees()
    roots: dict[bytes, int] = {}
    for message in by_date:
        root = roots.setdefault(given.subjects[message], message)
        if root == message:
            threads.roots.append(message)
        else:
            threads.children.setdefault(root, []).append(message)
    return threads


def references(given: Threaded) -> ThreadTrees:
    """Return threads by REFERENCES (RFC 5256 3)."""
    threads = _by_references(given)
    dates, children = given.dates, threads.children

    def sent(root: int) -> tuple[int, int]:
        first = root if root >= 0 else children[root][0]
        return dates[first], first

    threads.roots.sort(key=sent)
    changed = _gather(threads, given)
    for parent in changed:
        children[parent].sort(key=sent)
    threads.roots.sort(key=sent)
    return threads


def refs(given: Threaded) -> ThreadTrees:
    """Return threads by REFS (draft-ietf-morg-inthread-01 5): none joined by subject, the one in which something was sent last
    at the end; of several, as Dovecot has it, those below something that is no message first."""
    threads = _by_references(given)

    def latest(root: int) -> tuple[int, bool, int]:
        sent = max([given.dates[message] for message in _members(threads, root)])
        absent = threads.only.get(root, ~root if root < 0 else None)
        return (sent, True, root) if absent is None else (sent, False, absent)

    threads.roots.sort(key=latest)
    return threads


ALGORITHMS: dict[str, Callable[[Threaded], ThreadTrees]] = {
    "ORDEREDSUBJECT": ordered_subject,
    "REFERENCES": references,
    "REFS": refs,
}


def _members(threads: ThreadTrees, root: int) -> Iterator[int]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node >= 0:
            yield node
        waiting += threads.children.get(node, ())


# Steps 1 to 3


def _by_references(given: Threaded) -> ThreadTrees:
    """Link messages by their references and leave out what is not there; siblings by sent date, roots in no order."""
    count = len(given.dates)
    parents = _linked(given.links, count)
    above = _nearest(parents, count)
    threads = ThreadTrees()
    children = threads.children
    for message in sorted(range(count), key=given.dates.__getitem__):
        parent = above[message]
        if parent is None:
            threads.roots.append(message)
        else:
            children.setdefault(parent, []).append(message)
    for dummy in [node for node in children if node < 0]:
        if len(children[dummy]) > 1:
            threads.roots.append(dummy)
        else:
            [root] = children.pop(dummy)
            threads.roots.append(root)
            threads.only[root] = ~dummy
    return threads


def _linked(links: Sequence[int], count: int) -> list[int]:
    """Step 1: return the parent of each node, -1 for none. Nodes from ``count`` on are ids that no message has."""
    nodes = _own_ids(links, count)
    forest = Forest()
    forest.add(count)
    parents, link, place = forest.parents, forest.link, 0
    for message in range(count):
        first = place + 2
        place = first + links[place + 1]
        last = -1
        for reference in links[first:place]:
            node = nodes.get(reference)
            if node is None:
                node = nodes[reference] = len(parents)
                forest.add()
            if last >= 0 and parents[node] < 0:
                link(last, node)
            last = node
        before = parents[message]
        if before != last:
            if before >= 0:
                forest.cut(message)
            if last >= 0:
                link(last, message)
    return parents


def _own_ids(links: Sequence[int], count: int) -> dict[int, int]:
    """Return the message of each id: of several with one id the first."""
    nodes: dict[int, int] = {}
    place = 0
    for message in range(count):
        if links[place]:
            nodes.setdefault(links[place], message)
        place += 2 + links[place + 1]
    return nodes


def _nearest(parents: Sequence[int], count: int) -> list[int | None]:
    """Step 3: return for each message the nearest message above it. Where there is none, but something that is no message:
    the highest such, as a number below 0; None where nothing is."""
    found: dict[int, int] = {}  # by nodes that are no message
    above: list[int | None] = []
    for message in range(count):
        node = parents[message]
        passed = []
        while node >= count and node not in found:
            passed.append(node)
            node = parents[node]
        if node >= count:
            node = found[node]
        elif node < 0 and passed:
            node = ~passed[-1]
        for dummy in passed:
            found[dummy] = node
        above.append(None if node == -1 else node)
    return above


# Step 5


def _gather(threads: ThreadTrees, given: Threaded) -> set[int]:
    """Join threads of the same subject; return the parents that have new children. Roots are in the order of step 4."""
    children, roots = threads.children, threads.roots
    subjects, replies = given.subjects, given.replies
    table: dict[bytes, int] = {}
    named: list[tuple[int, bytes]] = []
    for root in roots:
        subject = subjects[root if root >= 0 else children[root][0]]
        named.append((root, subject))
        if subject:
            known = table.setdefault(subject, root)
            if known >= 0 and (root < 0 or (replies[known] and not replies[root])):
                table[subject] = root
    changed: set[int] = set()
    gone: set[int] = set()
    new = min(min(children, default=0), 0) - 2
    for root, subject in named:
        known = table.get(subject, root)
        if known == root:
            continue
        if known >= 0 and (replies[known] or not replies[root]):
            children[new] = [known, root]
            gone.update((known, root))
            roots.append(new)
            table[subject] = known = new
            new -= 1
        else:
            children.setdefault(known, []).extend(children.pop(root) if root < 0 else (root,))
            gone.add(root)
        changed.add(known)
    if gone:
        roots[:] = [root for root in roots if root not in gone]
    return changed


# What is said of them


def thread_lists(threads: ThreadTrees, numbers: Sequence[int]) -> bytes:
    """Return threads as thread-lists (RFC 5256 5). :param numbers: what each message is called."""
    children = threads.children
    said: list[str] = []
    waiting: list[int | str] = list(reversed(threads.roots))
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            said.append(node)
            continue
        said.append("(")
        if node >= 0:
            said.append(str(numbers[node]))
        below = children.get(node, ())
        while len(below) == 1:
            node = below[0]
            said.append(f" {numbers[node]}")
            below = children.get(node, ())
        if below:
            if node >= 0:
                said.append(" ")
            waiting.append(")")
            waiting.extend(reversed(below))
        else:
            said.append(")")
    return "".join(said).encode()
