"""A forest that grows and is cut, and whether a link would close a loop: for THREAD=REFERENCES (RFC 5256, step 1).

While nothing is cut, nodes that were joined are one tree, and sets of joined nodes (union-find) tell what is asked. A cut
leaves a set that holds more trees than one; about those alone a link-cut tree is asked, which is begun with the first
cut. So mail as it mostly is costs next to nothing, and a mailbox made to be cut all the time still n log n.
"""

from __future__ import annotations


class Forest:
    """``parents`` of all nodes, -1 for those that have none."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self._sets: list[int] = []
        self._cut_sets: set[int] = set()  # by their representatives
        self._paths: LinkCutTree | None = None

    def add(self, count: int = 1) -> None:
        """Add nodes without parents."""
        first = len(self.parents)
        self.parents.extend([-1] * count)
        self._sets.extend(range(first, first + count))
        if self._paths is not None:
            self._paths.add(count)

    def link(self, parent: int, child: int) -> None:
        """Make one the parent of another that has none, unless that would close a loop."""
        one, other = self._set_of(parent), self._set_of(child)
        if one == other:
            if one not in self._cut_sets or self._paths is None or self._paths.root(parent) == child:
                return
        else:
            self._sets[other] = one
            if other in self._cut_sets:
                self._cut_sets.add(one)
        self.parents[child] = parent
        if self._paths is not None:
            self._paths.link(parent, child)

    def cut(self, child: int) -> None:
        """Take its parent from a node that has one."""
        if self._paths is None:
            self._paths = LinkCutTree(self.parents)
        self._paths.cut(child)
        self.parents[child] = -1
        self._cut_sets.add(self._set_of(child))

    def _set_of(self, node: int) -> int:
        sets = self._sets
        while sets[node] != node:
            sets[node] = sets[sets[node]]
            node = sets[node]
        return node


class LinkCutTree:
    """Trees of Sleator and Tarjan: the root of a node, links and cuts in O(log n) each, on average over all of them.

    The nodes of a path stand in a splay tree by their depth. ``_up`` of a node is its parent in that, or, where it is the
    top of one, the parent of the highest node of its path in the forest itself.
    """

    def __init__(self, parents: list[int]) -> None:
        """Begin with a forest: each node is a path of its own."""
        self._up = parents.copy()
        self._left = [-1] * len(parents)
        self._right = [-1] * len(parents)

    def add(self, count: int) -> None:
        """Add nodes without parents."""
        for column in (self._up, self._left, self._right):
            column.extend([-1] * count)

    def root(self, node: int) -> int:
        """Return the node above it that has no parent, or itself."""
        self._expose(node)
        left = self._left
        while left[node] >= 0:
            node = left[node]
        self._splay(node)
        return node

    def link(self, parent: int, child: int) -> None:
        """Give a parent to a node that has none, and is not above it."""
        self._expose(child)
        self._up[child] = parent

    def cut(self, node: int) -> None:
        """Take its parent from a node."""
        self._expose(node)
        above = self._left[node]
        if above >= 0:
            self._up[above] = -1
            self._left[node] = -1

    def _expose(self, node: int) -> None:
        """Make the way from the root to a node one path, with the node at the top of its splay tree."""
        self._splay(node)
        self._right[node] = -1  # what is deeper on the path becomes one of its own
        up = self._up
        while (above := up[node]) >= 0:
            self._splay(above)
            self._right[above] = node
            self._splay(node)

    def _is_top(self, node: int) -> bool:
        above = self._up[node]
        return above < 0 or (self._left[above] != node and self._right[above] != node)

    def _splay(self, node: int) -> None:
        up, left = self._up, self._left
        while not self._is_top(node):
            above = up[node]
            if not self._is_top(above):
                straight = (left[above] == node) == (left[up[above]] == above)
                self._rotate(above if straight else node)
            self._rotate(node)

    def _rotate(self, node: int) -> None:
        up, left, right = self._up, self._left, self._right
        above = up[node]
        beyond = up[above]
        if beyond >= 0:
            if left[beyond] == above:
                left[beyond] = node
            elif right[beyond] == above:
                right[beyond] = node
        if left[above] == node:
            inner = left[above] = right[node]
            right[node] = above
        else:
            inner = right[above] = left[node]
            left[node] = above
        if inner >= 0:
            up[inner] = above
        up[above] = node
        up[node] = beyond
