"""The hashes that signatures have of a body. It is hashed once, in the forms that are asked for, as it comes or as it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mailnode.message.dkim import BodyHash
from mailnode.values.authentication import BodyDigest

RELAXED, SIMPLE = b"relaxed", b"simple"
FORMS = (RELAXED, SIMPLE)

BodyDigests = Mapping[bytes, BodyDigest]  # by form


class Digests:
    """Of a body that comes in pieces."""

    def __init__(self, forms: Collection[bytes] = FORMS) -> None:
        """:param forms: RELAXED, SIMPLE, or both."""
        self._forms = {form: BodyHash(relaxed=form == RELAXED) for form in forms}

    def update(self, data: bytes) -> None:
        """Take the next octets."""
        for form in self._forms.values():
            form.update(data)

    def finish(self) -> BodyDigests:
        """The body is whole. To be called once."""
        return {name: BodyDigest(form.digest(), form.octets) for name, form in self._forms.items()}
