"""How many messages a destination may have in a stretch of time."""

from mailnode.queue.rate import Rate


def test_without_bounds_anything_goes():
    rate = Rate()
    for _ in range(1000):
        rate.note(0.0)
    assert rate.room(0.0) is None and rate.next_at(0.0) is None


def test_a_minute_holds_so_many_wherever_it_begins():
    rate = Rate(per_minute=3)
    for now in (0.0, 50.0, 55.0):
        assert rate.next_at(now) is None
        rate.note(now)
    assert (rate.room(59.0), rate.next_at(59.0)) == (0, 60.0)
    assert rate.room(60.0) == 1
    rate.note(60.0)
    assert (rate.room(109.0), rate.next_at(109.0)) == (0, 110.0)
    assert rate.room(115.0) == 2
    assert rate.room(120.0) == 3


def test_the_hour_counts_beside_the_minute():
    rate = Rate(per_minute=2, per_hour=3)
    for now in (0.0, 0.0, 60.0):
        rate.note(now)
    assert (rate.room(120.0), rate.next_at(120.0)) == (0, 3600.0)
    assert rate.room(3600.0) == 2
