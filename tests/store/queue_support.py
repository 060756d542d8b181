"""Puts envelopes into a queue, takes them and settles them, in few words."""

from __future__ import annotations

from mailnode.values.queue import NewEnvelope, Outcome, QueuedEnvelope, QueuedRecipient, Settlement

NOW = 1_800_000_000.25


class Post:
    """Puts envelopes into the queue."""

    def __init__(self, queue, blobs, loop):
        self.queue, self.blobs, self.loop = queue, blobs, loop

    def submission(self, name, recipients, content=b"Hello\r\n", facts=None, **fields):
        blob = self.loop.run(self.blobs.put(content))
        listed = tuple(
            QueuedRecipient(number, f"u{number}@{place}", place, next_try=NOW) if isinstance(place, str) else place
            for number, place in enumerate(recipients)
        )
        settings = {"created": NOW, "expires": NOW + 1000, "reverse_path": "me@example.org", **fields}
        return NewEnvelope(QueuedEnvelope(name, blob=blob.ref, recipients=listed, **settings), blob, facts)

    def __call__(self, name, recipients, **options):
        submission = self.submission(name, recipients, **options)
        self.loop.run(self.queue.enqueue(submission))
        return submission


def outcomes(claim, state, **fields):
    return tuple(Outcome(claim.envelope.id, r.index, state, **fields) for r in claim.envelope.recipients)


def settle(queue, loop, claim, state, bounces=(), **fields):
    return loop.run(queue.settle(Settlement(claim.token, outcomes(claim, state, **fields), bounces)))


def claimed(queue, loop, destination="a.example", now=NOW, lease=60.0, limit=100):
    claims = loop.run(queue.claim(destination, now, lease, limit))
    return claims[0] if claims else None
