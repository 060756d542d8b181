"""What metrics tell of the queue: as it was counted last, and no more names than are good for who collects them."""

from mailnode.server.app import NAMED, measure_queue
from mailnode.values.queue import QueueTally
from mailnode.web.metrics import Metrics


def lines(metrics, name):
    return [line for line in metrics.render()[1].decode().splitlines() if line.startswith(f"mailnode_{name}")]


def test_the_largest_are_named_and_the_others_count_together():
    metrics = Metrics()
    destinations = {f"d{number:02d}.example": [number, 100] for number in range(NAMED + 2)}
    measure_queue(metrics, QueueTally(9, 9, {}, 1000.0, destinations, {"dns": [1, 2], "held": [3]}), 1060.0)
    waiting = lines(metrics, "queue_waiting")
    assert len(waiting) == NAMED + 1
    assert 'mailnode_queue_waiting{destination="d21.example"} 121.0' in waiting
    assert 'mailnode_queue_waiting{destination="other"} 201.0' in waiting
    reasons = ['mailnode_queue_reasons{reason="dns"} 3.0', 'mailnode_queue_reasons{reason="held"} 3.0']
    assert sorted(lines(metrics, "queue_reasons")) == reasons
    assert lines(metrics, "queue_oldest_seconds") == ["mailnode_queue_oldest_seconds 60.0"]


def test_envelopes_and_recipients_by_state_are_told():
    metrics = Metrics()
    measure_queue(metrics, QueueTally(9, 4, {"waiting": 7, "leased": 2}, 1000.0), 1060.0)
    assert lines(metrics, "queue_envelopes") == ["mailnode_queue_envelopes 4.0"]
    assert 'mailnode_queue_recipients{state="leased"} 2.0' in lines(metrics, "queue_recipients")


def test_what_is_gone_is_told_no_more():
    metrics = Metrics()
    measure_queue(metrics, QueueTally(1, 1, {}, 1000.0, {"a.example": [1]}, {"new": [1]}), 1060.0)
    measure_queue(metrics, QueueTally(), 1060.0)
    assert lines(metrics, "queue_waiting") == lines(metrics, "queue_reasons") == []
    assert lines(metrics, "queue_oldest_seconds") == ["mailnode_queue_oldest_seconds 0.0"]
