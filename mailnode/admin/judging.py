"""The operation that judges a message to see what would become of it."""

from __future__ import annotations

import os
import stat
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.operations import OpenFile, OperationFailed, Reason, operation
from mailnode.values.address import parse_address
from mailnode.values.networks import ip_address
from mailnode.values.trial import Tried, TriedAnswer, TriedLookup, TriedMail, TriedRecipient, TriedRefusal

MAX_HELO = 255  # characters


class JudgedAnswer(TypedDict):
    """What a policy answered."""

    stage: str
    recipient: str  # about whom it was asked; "": the message
    policy: str
    answer: str
    score: float
    reason: str
    own: bool  # it is about one recipient alone
    seconds: float


class JudgedLookup(TypedDict):
    """A question to DNS."""

    type: str
    name: str
    records: list[str]
    failure: str  # "": it was answered
    seconds: float


class JudgedRecipient(TypedDict):
    """What would become of one copy."""

    address: str
    outcome: str
    reply: str
    header: str


class JudgedRefusal(TypedDict):
    """A reply that would have ended it, or one recipient of it."""

    stage: str
    policy: str  # "": no policy's
    recipient: str  # "": everybody's
    reply: str


class JudgedFile(TypedDict):
    """What would become of a message."""

    outcome: str
    reply: str
    stage: str
    policy: str
    score: float
    junk_at: float
    refuse_at: float
    refusals: list[JudgedRefusal]  # the first decides; the others would have followed
    answers: list[JudgedAnswer]
    lookups: list[JudgedLookup]
    recipients: list[JudgedRecipient]
    header: str


@operation("judge")
async def judge(
    admin: Administration, content: OpenFile, peer: str, helo: str, sender: str, recipients: list[str]
) -> JudgedFile:
    """What would become of a message that somebody sent. Nothing is delivered, learnt, counted or remembered.

    :param content: a file with the message. :param peer: the client's IP address. :param sender: the reverse-path, "" the null one.
    """
    if ip_address(peer) is None:
        raise OperationFailed(Reason.WRONG_VALUE, f"{peer}: not an IP address")
    if not (helo and len(helo) <= MAX_HELO and helo.isascii() and helo.isprintable()):
        raise OperationFailed(Reason.WRONG_VALUE, f"{helo!r}: not a name that a client can give")
    size, largest = await admin.threads.run("disk", _size, content), admin.trials.largest
    if size > largest:
        raise OperationFailed(
            Reason.WRONG_VALUE, f"the message has {size} octets, and the server takes none of more than {largest}"
        )

    async def read(at: int, length: int) -> bytes:
        return await admin.threads.run("disk", _read, content, length, at)

    reverse_path = parse_address(sender) if sender not in ("", "<>") else None
    addresses = tuple([parse_address(one) for one in recipients])
    return _judged_file(await admin.trials.judge(TriedMail(peer, helo, reverse_path, addresses, size, read)))


def _size(file: int) -> int:
    """Return the octets of an open file. :raises OperationFailed: it is none of the kind that can be read at any place."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise OperationFailed(Reason.WRONG_VALUE, "the message: not a file")
    return status.st_size


def _read(file: int, length: int, at: int) -> bytes:
    """:raises OperationFailed: it was not opened to be read, or its disk fails."""
    try:
        return os.pread(file, length, at)
    except OSError as error:
        raise OperationFailed(Reason.WRONG_VALUE, f"the message: {error.strerror}") from None


def _judged_file(tried: Tried) -> JudgedFile:
    return {
        "outcome": tried.outcome,
        "reply": tried.reply,
        "stage": tried.stage,
        "policy": tried.policy,
        "score": tried.score,
        "junk_at": tried.junk_at,
        "refuse_at": tried.refuse_at,
        "refusals": [_judged_refusal(one) for one in tried.refusals],
        "answers": [_judged_answer(one) for one in tried.answers],
        "lookups": [_judged_lookup(one) for one in tried.lookups],
        "recipients": [_judged_recipient(one) for one in tried.recipients],
        "header": _text(tried.header),
    }


def _judged_refusal(one: TriedRefusal) -> JudgedRefusal:
    return {"stage": one.stage, "policy": one.policy, "recipient": one.recipient, "reply": one.reply}


def _judged_answer(one: TriedAnswer) -> JudgedAnswer:
    said = one.answer
    return {
        "stage": said.stage,
        "recipient": one.recipient,
        "policy": said.policy,
        "answer": said.answer,
        "score": round(said.score, 2),
        "reason": said.reason,
        "own": said.own,
        "seconds": round(said.seconds, 4),
    }


def _judged_lookup(one: TriedLookup) -> JudgedLookup:
    return {
        "type": one.type,
        "name": one.name,
        "records": list(one.records),
        "failure": one.failure,
        "seconds": round(one.seconds, 4),
    }


def _judged_recipient(one: TriedRecipient) -> JudgedRecipient:
    return {"address": one.address, "outcome": one.outcome, "reply": one.reply, "header": _text(one.header)}


def _text(header: bytes) -> str:
    return header.decode("utf-8", "replace").replace("\r\n", "\n")
