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
from mailnode.values.reading import PackedWords, ToldChance, shown

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
            reading = await request.ahead({}) if request.ahead is not None else None
            told = dict(reading.chances) if reading is not None else {}
            untold = [one for one in ready if one not in told]
            if untold:
                read = reading.words if reading is not None else None
                told |= await self._asked(untold, read or await self._words(request))
        except StoreUnavailable:
            return PASS
        return milder(behind, {one: self._verdict(told[one]) for one in ready if one in told})

    async def _asked(self, account_ids: Sequence[str], found: Found) -> dict[str, ToldChance]:
        """Return what filters say. :raises StoreUnavailable:"""
        numbers = found.unpacked() if isinstance(found, PackedWords) else list(found)
        counts = await self._filters.words(account_ids, numbers)
        return {account_id: _told(chance(one, numbers), found) for account_id, one in counts.items()}

    async def _words(self, request: PolicyRequest) -> Mapping[int, bytes]:
        data = request.header[:MAX_OCTETS]
        if request.read is not None and len(data) < MAX_OCTETS:
            data += await request.read(len(request.header), MAX_OCTETS - len(data))
        if len(data) > SMALL:
            return cast(Mapping[int, bytes], await self._threads.run("cpu", words, data))
        return words(data)

    def _verdict(self, told: ToldChance) -> Verdict:
        lean = 2 * told.junk - 1
        if abs(lean) < CERTAIN:
            return PASS
        telling = f": {', '.join(told.telling)}" if told.telling else ""
        if lean > 0:
            return Verdict(
                score=lean * self._options.junk, reason=f"words like those in what you took for junk{telling}"
            )
        return Verdict(score=lean * self._options.good, reason=f"words like those in mail you keep{telling}")


def _told(chance: Chance, found: Found) -> ToldChance:
    telling = (
        found.named(chance.telling) if isinstance(found, PackedWords) else [found[number] for number in chance.telling]
    )
    return ToldChance(chance.junk, shown(telling))
