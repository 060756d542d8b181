"""What two servers are compared by: responses as trees, and where these differ."""

from tests.interop.compare import leaves
from tests.interop.tree import fetched, read


def test_responses_are_read_as_trees():
    assert read(b'(a "b c" {3}\r\n)"( NIL "NIL" (BODY[1.HEADER] ()))') == [
        [b"a", b"b c", b')"(', None, b"NIL", [b"BODY[1.HEADER]", []]]
    ]
    line = b'* 7 FETCH (FLAGS (\\Seen a) BODY ("TEXT" "PLAIN" ("B" "x" "A" "Y") NIL NIL "7BIT" 3 1))'
    said = fetched([line])[7]
    assert said[b"FLAGS"] == {b"\\seen", b"a"}
    assert said[b"BODY"]["params"] == ((b"a", b"Y"), (b"b", b"x")) and said[b"BODY"]["lines"] == 1


def test_a_difference_is_the_smallest_value_that_differs():
    one = {"parts": [{"size": 1, "lines": 2}, {"size": 3}]}
    other = {"parts": [{"size": 1}, {"size": 4}]}
    assert [(path, ours, theirs) for path, ours, theirs, _ in leaves(one, other)] == [
        (("parts", 0, "lines"), 2, "absent"),
        (("parts", 1, "size"), 3, 4),
    ]
