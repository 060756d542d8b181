"""A total for all tries, and a place of its own for the first of each destination."""

from mailnode.queue.admission import Admission


def test_the_first_try_of_a_destination_has_a_place_beside_the_total():
    admission = Admission(total=2, destinations=10)
    assert admission.places(running=0) == 3
    admission.begin(0)
    assert admission.places(running=1) == 2
    admission.begin(1)
    admission.begin(2)
    assert admission.places(running=3) == 0
    assert admission.places(running=0) == 1, "another destination still has its first"


def test_there_are_so_many_destinations_at_once_and_no_more():
    admission = Admission(total=5, destinations=2)
    firsts = [admission.begin(0), admission.begin(0)]
    assert admission.places(running=0) == 0
    assert admission.places(running=1) == 5
    admission.end(firsts[0])
    assert admission.places(running=0) == 6


def test_what_a_claim_may_bring_is_kept_free_until_it_ends():
    admission = Admission(total=4, destinations=2)
    with admission.promise(3, running=1):
        assert admission.places(running=1) == 1
    assert admission.places(running=1) == 4
    with admission.promise(3), admission.promise(1):  # of two other destinations
        assert admission.places(running=1) == 2
        assert admission.places(running=0) == 0
    assert admission.places(running=0) == 5


def test_a_destination_something_new_came_for_has_spare_places():
    admission = Admission(total=1, destinations=1, spare=1)
    admission.begin(0)
    assert admission.places(running=0) == 0
    assert admission.places(running=0, fresh=True) == 2
    admission.begin(0)
    assert admission.places(running=0, fresh=True) == 0


def test_a_claim_that_fails_gives_its_places_back():
    admission = Admission(total=4, destinations=2)
    try:
        with admission.promise(4):
            raise OSError
    except OSError:
        pass
    assert admission.places(running=1) == 4


def test_every_try_gives_back_the_kind_of_place_it_took():
    admission = Admission(total=1, destinations=1)
    first, further = admission.begin(0), admission.begin(1)
    admission.end(first)
    assert admission.places(running=1) == 0
    assert admission.places(running=0) == 1
    admission.end(further)
    assert admission.places(running=0) == 2
