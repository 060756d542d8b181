"""What is kept in memory of what filters know: as of one lesson, not for long, and no more than there is room for."""

from __future__ import annotations

from mailnode.store.facades.known_words import ACCOUNT, KNOWN_SECONDS, SHARED_AT_ONCE, KnownWords
from mailnode.values.learning import FilterState, SenderCounts, WordCounts
from mailnode.values.reading import AskedFilter

STATE = FilterState(3, 4, 2, 1, 5.0)


def kept(memory, account_id="a", words=(1, 2), state=STATE, now=0.0):
    known = memory.of(account_id, state, now)
    assert memory.keep_words(known, words, WordCounts(3, 4, {1: (2, 1)}))
    return known


def test_words_are_known_also_those_that_the_filter_does_not_know():
    memory = KnownWords()
    kept(memory)
    known = memory.of("a", STATE, 1.0)
    assert known.missing([1, 2, 3]) == [3]
    assert known.word_counts() == WordCounts(3, 4, {1: (2, 1), 2: (0, 0)})
    assert memory.of("b", STATE, 1.0).missing([1]) == [1]


def test_a_lesson_makes_all_forgotten():
    memory = KnownWords()
    kept(memory)
    assert memory.of("a", FilterState(4, 4, 2, 1, 6.0), 1.0).missing([1]) == [1]
    assert memory.of("a", STATE, 1.0).missing([1]) == [1]


def test_nothing_is_kept_for_longer_whatever_the_clock_does():
    memory = KnownWords()
    kept(memory, now=1000.0)
    assert memory.of("a", STATE, 999.0 + KNOWN_SECONDS).missing([1]) == []
    assert memory.of("a", STATE, 1000.0 + KNOWN_SECONDS).missing([1]) == [1]
    kept(memory, now=1000.0)
    assert memory.of("a", STATE, 900.0).missing([1]) == [1]


def test_what_was_asked_before_a_lesson_is_not_put_to_what_was_after():
    memory = KnownWords()
    known = kept(memory)
    assert not memory.keep_words(known, [3], WordCounts(4, 4, {3: (1, 0)}))
    assert known.missing([3]) == [3]
    memory.forget("a")
    assert memory.keep_words(known, [3], WordCounts(3, 4))  # whoever asked gets the answer, and nobody else
    assert memory.of("a", STATE, 0.0).missing([3]) == [3]


def test_another_process_is_told_each_word_once():
    memory = KnownWords()
    assert memory.asked("a", STATE, 0.0) == AskedFilter("a")
    memory.of("a", STATE, 0.0)
    assert memory.asked("a", STATE, 0.0) == AskedFilter("a")  # nobody asked the store yet
    kept(memory)
    first, again = memory.asked("a", STATE, 0.0), memory.asked("a", STATE, 0.0)
    assert first == AskedFilter("a", first.number, 3, 4, {1: (2, 1), 2: (0, 0)}) and first.number
    assert again == first._replace(fresh={})
    kept(memory, words=(2, 3))
    assert memory.asked("a", STATE, 0.0).fresh.keys() == {2, 3}
    assert memory.asked("a", None, 0.0) == AskedFilter("a") == memory.asked("a", STATE, KNOWN_SECONDS)
    kept(memory, now=KNOWN_SECONDS)
    assert memory.asked("a", STATE, KNOWN_SECONDS).number not in (0, first.number)


def test_of_many_words_another_process_is_told_some_at_a_time():
    memory = KnownWords()
    kept(memory, words=range(2 * SHARED_AT_ONCE + 1))
    told = [memory.asked("a", STATE, 0.0).fresh for _ in range(4)]
    assert [len(some) for some in told] == [SHARED_AT_ONCE, SHARED_AT_ONCE, 1, 0]
    assert {word for some in told for word in some} == set(range(2 * SHARED_AT_ONCE + 1))


def test_those_unused_longest_go_when_there_is_no_room():
    memory = KnownWords(most=3 * (ACCOUNT + 2))
    for account_id in "abc":
        kept(memory, account_id)
    memory.of("a", STATE, 1.0)
    kept(memory, "d")
    assert [memory.of(one, STATE, 1.0).missing([1]) for one in "adc"] == [[], [], []]
    assert memory.of("b", STATE, 1.0).missing([1]) == [1]


def test_an_account_of_which_too_much_is_asked_begins_anew():
    memory = KnownWords(most_of_one=ACCOUNT + 5)
    kept(memory, words=range(5))
    assert memory.of("a", STATE, 1.0).missing(range(5)) == []
    kept(memory, words=range(6))
    assert memory.of("a", STATE, 1.0).missing(range(5)) == list(range(5))
    for number in range(ACCOUNT):
        memory.keep_sender(memory.of("a", STATE, 1.0), f"{number}.test", SenderCounts(1.0, 0.0))
    assert len(memory.of("a", STATE, 1.0).senders) < 6


def test_what_went_leaves_its_room():
    memory = KnownWords(most=3 * (ACCOUNT + 2))
    for _ in range(10):
        kept(memory, "a")
        memory.forget("a")
    for account_id in "abc":
        kept(memory, account_id)
    assert [memory.of(one, STATE, 1.0).missing([1]) for one in "abc"] == [[], [], []]
