"""RFC 5256 3 as it is written, step by step, however slow: what the server's threads are held against."""

from __future__ import annotations

import itertools


class Node:
    """A message, or a dummy (``number`` None)."""

    def __init__(self, number=None):
        self.number = number
        self.parent = None
        self.children = []

    @property
    def is_dummy(self):
        return self.number is None

    def is_below(self, other):
        node = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    def move_below(self, parent):
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        if parent is not None:
            parent.children.append(self)


class Mail:
    """``id`` and ``references`` are None and () where there are none; ``date`` the sent date."""

    def __init__(self, id=None, references=(), date=0, subject="", reply=False):
        self.id, self.references, self.date = id, references, date
        self.subject, self.reply = subject, reply


def _link(messages):
    by_id, nodes = {}, []
    for number, mail in enumerate(messages):
        node = Node(number)
        nodes.append(node)
        if mail.id is not None and mail.id not in by_id:
            by_id[mail.id] = node
    for mail, node in zip(messages, nodes, strict=True):
        chain = [by_id.setdefault(one, Node()) for one in mail.references]
        for parent, child in itertools.pairwise(chain):  # (1) A
            if child.parent is None and not parent.is_below(child):
                child.move_below(parent)
        node.move_below(None)  # (1) B
        if chain and not chain[-1].is_below(node):
            node.move_below(chain[-1])
    everything = [*nodes, *(node for node in by_id.values() if node.is_dummy)]
    root = Node()
    for node in everything:
        if node.parent is None:  # (2)
            node.move_below(root)
    return root


def _prune(root):
    """(3), from the leaves up."""
    ordered, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        ordered.append(node)
        waiting += node.children
    for node in reversed(ordered):
        if node is root or not node.is_dummy:
            continue
        if not node.children:
            node.move_below(None)
        elif node.parent is not root or len(node.children) == 1:
            for child in list(node.children):
                child.move_below(node.parent)
            node.move_below(None)


def references(messages):
    """Return threads as nested lists: [number or None, child, child ...]."""
    root = _link(messages)
    _prune(root)

    def sent(node):
        first = node if not node.is_dummy else min(node.children, key=sent)
        return messages[first.number].date, first.number

    def order(node):
        node.children.sort(key=sent)

    for node in root.children:  # (4)
        if node.is_dummy:
            order(node)
    order(root)

    def subject_of(node):
        return messages[(node.children[0] if node.is_dummy else node).number].subject

    def is_reply(node):
        return not node.is_dummy and messages[node.number].reply

    table = {}
    for node in root.children:  # (5) B
        subject = subject_of(node)
        if not subject:
            continue
        if subject not in table or (
            not table[subject].is_dummy and (node.is_dummy or (is_reply(table[subject]) and not is_reply(node)))
        ):
            table[subject] = node
    for node in list(root.children):  # (5) C
        subject = subject_of(node)
        if not subject or table[subject] is node:
            continue
        known = table[subject]
        if known.is_dummy and node.is_dummy:
            for child in list(node.children):
                child.move_below(known)
            node.move_below(None)
        elif known.is_dummy or (is_reply(node) and not is_reply(known)):
            node.move_below(known)
        else:
            dummy = Node()
            dummy.move_below(root)
            known.move_below(dummy)
            node.move_below(dummy)
            table[subject] = dummy
    return _sorted(root, sent)


def refs(messages):
    """Threads by references alone, by what was sent last in each; of several those first that begin with no message, in the
    order in which what they begin with was named."""
    root = _link(messages)
    begun = {}
    for place, node in enumerate(node for node in root.children if node.is_dummy):
        for below in _all_below(node):
            begun[below.number] = place
    _prune(root)

    def sent(node):
        return messages[node.number].date, node.number

    def latest(node):
        numbers = [below.number for below in _all_below(node) if not below.is_dummy]
        place = begun.get(numbers[0])
        return max(messages[number].date for number in numbers), place is None, node.number if place is None else place

    return [_tree(node, sent) for node in sorted(root.children, key=latest)]


def _all_below(node):
    """A node and all below it."""
    found = [node]
    for one in found:
        found += one.children
    return found


def _sorted(root, sent):
    return [_tree(node, sent) for node in sorted(root.children, key=sent)]  # (6)


def _tree(node, sent):
    return [node.number, *[_tree(child, sent) for child in sorted(node.children, key=sent)]]


def ordered_subject(messages):
    """The same by ORDEREDSUBJECT."""
    by_subject = sorted(range(len(messages)), key=lambda n: (messages[n].subject, messages[n].date, n))
    threads = []
    for number in by_subject:
        if threads and messages[threads[-1][0]].subject == messages[number].subject:
            threads[-1].append([number])
        else:
            threads.append([number])
    return sorted(threads, key=lambda thread: (messages[thread[0]].date, thread[0]))


def said(threads):
    """Return thread-lists (RFC 5256 5) of nested lists, by sequence numbers."""

    def members(thread):
        number, *below = thread
        text = "" if number is None else str(number + 1)
        while len(below) == 1:
            number, *below = below[0]
            text += f" {number + 1}"
        if below:
            text += " " * bool(text) + "".join(f"({members(one)})" for one in below)
        return text

    return "".join(f"({members(thread)})" for thread in threads).encode()
