"""Counting clients in one process and in several."""

import os
import random

import pytest

from mailnode.net.client_counts import ClientCounts, ClientCountsMemory, SharedClientCounts


@pytest.fixture
def memory():
    made = ClientCountsMemory.make(3, 2)
    yield made
    made.close()


def test_processes_count_together_and_listeners_apart(memory):
    again = ClientCountsMemory(memory.descriptor, memory.key, 3, 2)  # as another process maps it
    one, two, other = SharedClientCounts(memory, 0, 1), SharedClientCounts(again, 2, 1), SharedClientCounts(again, 2, 0)
    one.enter("192.0.2.1")
    two.enter("192.0.2.1")
    two.enter("")
    assert (one.total(), two.total(), other.total()) == (3, 3, 0)
    assert (one.of("192.0.2.1"), two.of("192.0.2.1"), other.of("192.0.2.1")) == (2, 2, 0)
    one.leave("192.0.2.1")
    assert (two.total(), two.of("192.0.2.1")) == (2, 1)


def test_what_a_dead_process_held_is_free(memory):
    counts = [SharedClientCounts(memory, number, 0) for number in range(3)]
    for clients in counts:
        clients.enter("192.0.2.1")
    memory.forget(1)
    assert (counts[0].total(), counts[2].of("192.0.2.1")) == (2, 2)


@pytest.mark.parametrize("seen", ["alone", "by its own process", "by another one"])
def test_it_is_never_too_low_and_in_the_end_nothing(memory, seen):
    dice = random.Random(3)
    clients = ClientCounts() if seen == "alone" else SharedClientCounts(memory, 1, 1)
    looking = SharedClientCounts(memory, 2, 1) if seen == "by another one" else clients
    there = []
    for _ in range(5000):
        if there and dice.random() < 0.45:
            clients.leave(there.pop(dice.randrange(len(there))))
        else:
            there.append(f"10.0.{dice.randrange(4)}.{dice.randrange(200)}")
            clients.enter(there[-1])
    assert looking.total() == len(there)
    peers = set(there)
    counted = {peer: looking.of(peer) for peer in peers}
    assert all(counted[peer] >= there.count(peer) for peer in peers)
    wrong = sum(counted[peer] != there.count(peer) for peer in peers)
    assert wrong <= (len(peers) // 50 if looking is not clients else 0)
    for peer in there:
        clients.leave(peer)
    assert looking.total() == 0 and not any(looking.of(peer) for peer in peers)


def test_the_memory_has_no_name_and_is_not_inherited_by_chance(memory):
    assert not os.get_inheritable(memory.descriptor)
    assert os.readlink(f"/proc/self/fd/{memory.descriptor}").endswith("(deleted)")
