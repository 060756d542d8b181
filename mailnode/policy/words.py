"""The words of a message, judged by what each recipient has taken for junk before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from pydantic import Field
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.message.tokens import MAX_OCTETS, words
from mailnode.policy.chances import Chance, chance
from mailnode.policy.options import OptionModel
from mailnode.policy.own import accounts_behind, milder
from mailnode.values.policy import PASS, PolicyRequest, Verdict
from mailnode.values.reading import PackedWords

SMALL = 8 * 1024  # octets that are read at once, in a tenth of a millisecond or two
CERTAIN = 0.4  # how far from even chances it is to be, of 1.0

Found: TypeAlias = Mapping[int, bytes] | PackedWords  # words by their numbers


class WordOptions(OptionModel):
    """Of this policy."""

    enough: int = Field(
        20, ge=1, description="So many messages of each kind an account has to have taught before it is asked."
    )
    junk: float = Field(6.0, ge=0, le=100, description="The score of what is junk without any doubt.")
    good: float = Field(3.0, ge=0, le=100, description="What is taken from the score of what is not.")


OPTIONS = WordOptions


def make(options: OptionModel, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    assert isinstance(options, WordOptions)
    return LearntWords(options, context)


@implementer(IPolicy)
class LearntWords:
    """Says something about each recipient whose filter has learnt enough."""

    name = "words"
    stages = frozenset({"end"})
    only_strangers = True

    def __init__(self, options: WordOptions, context: IPluginContext) -> None:
        self._options = options
        self._filters = context.filters
        self._threads = context.threads

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`. When the store cannot say, there is no opinion."""
        behind = accounts_behind(request)
        if not behind:
            return PASS
        try:
            asked = sorted({one for accounts in behind.values() for one in accounts})
            learnt = await self._filters.learnt(asked)
            enough = self._options.enough
            ready = [one for one in asked if min(learnt[one].junk, learnt[one].good) >= enough]
            if not ready:
                return PASS
            found = await self._words(request)
            numbers = found.unpacked() if isinstance(found, PackedWords) else list(found)
            counts = await self._filters.words(ready, numbers)
        except StoreUnavailable:
            return PASS
        said = {account: self._verdict(chance(one, numbers), found) for account, one in counts.items()}
        return milder(behind, said)

    async def _words(self, request: PolicyRequest) -> Found:
        if request.ahead is not None and (reading := await request.ahead({})) is not None:
            return reading.words
        data = request.header[:MAX_OCTETS]
        if request.read is not None and len(data) < MAX_OCTETS:
            data += await request.read(len(request.header), MAX_OCTETS - len(data))
        if len(data) > SMALL:
            return cast(Found, await self._threads.run("cpu", words, data))
        return words(data)

    def _verdict(self, chance: Chance, found: Found) -> Verdict:
        lean = 2 * chance.junk - 1
        if abs(lean) < CERTAIN:
            return PASS
        telling = _shown(chance.telling, found)
        if lean > 0:
            return Verdict(
                score=lean * self._options.junk, reason=f"words like those in what you took for junk{telling}"
            )
        return Verdict(score=lean * self._options.good, reason=f"words like those in mail you keep{telling}")


def _shown(telling: Sequence[int], found: Found) -> str:
    named = found.named(telling) if isinstance(found, PackedWords) else [found[word] for word in telling]
    shown = [word.decode("ascii") for word in named if word.isascii()]
    return f": {', '.join(shown)}" if shown else ""
