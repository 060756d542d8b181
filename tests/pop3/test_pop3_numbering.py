"""The messages of a POP3 session by number, and their sum."""

from mailnode.pop3.wire.numbering import Numbering


class Weighed:
    """A message that counts how often its size is looked at."""

    looks = 0

    def __init__(self, uid, octets):
        self.uid, self.uidl, self._octets = uid, str(uid), octets

    @property
    def size(self):
        Weighed.looks += 1
        return self._octets


def test_the_sum_follows_marks_and_is_not_summed_up_anew():
    numbering = Numbering(tuple(Weighed(uid, 10**uid) for uid in range(5)))
    numbering.mark(2)
    numbering.mark(2)
    numbering.mark(5)
    assert (numbering.count, numbering.octets) == (3, 1101)
    numbering.unmark_all()
    assert (numbering.count, numbering.octets) == (5, 11111)
    looks = Weighed.looks
    assert {numbering.octets for _ in range(100)} == {11111}
    assert Weighed.looks == looks
