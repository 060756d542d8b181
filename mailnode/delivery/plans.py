"""From routes to copies: who gets a copy in a mailbox here, who is relayed to, and who is to hear about it.

NOTIFY and ORCPT follow RFC 3461 5.2.7: an alias for one address passes them on; of several, one copy carries the whole
request, the others the request without SUCCESS, so that the sender hears of success once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mailnode.delivery.circles import mark
from mailnode.delivery.routing import RoutingTable
from mailnode.message.compose import delivery_prefix
from mailnode.values.address import Address, domain_key
from mailnode.values.envelope import PLAIN_RCPT, Envelope, RcptOptions, Recipient
from mailnode.values.mailbox import CopyPlace, DeliveryPlan
from mailnode.values.plan import Judgement
from mailnode.values.queue import GIVEN_UP_DESTINATION, LOCAL_DESTINATION, QueuedRecipient
from mailnode.values.reason import WaitReason

MANY_COPIES = 1000  # copies from which on they are worked out in a thread: a list of 100,000 takes half a second


class LocalCopy(NamedTuple):
    """A copy for a mailbox here. ``wait_for_room``: the account is full, the copy waits in the queue."""

    plan: DeliveryPlan
    options: RcptOptions
    wait_for_room: bool = False


@dataclass(frozen=True, slots=True)
class RemoteCopy:
    """A copy for another server; ``address`` as it goes on the wire. ``prefix``: whole header fields on top of it.
    ``sender``: the reverse-path, "" for that of the envelope. ``circle``: it would come back, and goes no further."""

    address: str
    options: RcptOptions
    prefix: bytes = b""
    sender: str = ""
    circle: bool = False


_Borne = tuple[bytes, str, bool]  # prefix, sender and circle of a RemoteCopy


class Copies(NamedTuple):
    """All copies of one message: one an account, one a foreign address."""

    local: tuple[LocalCopy, ...]
    remote: tuple[RemoteCopy, ...]


def leads_to_many(judgement: Judgement) -> bool:
    """Whether there may be more copies than are worked out at once."""
    count = 0
    for route in judgement.routes.values():
        count += len(route.remote) + len(route.local)
    return count > MANY_COPIES


def copies(envelope: Envelope, judgement: Judgement) -> Copies:
    """Work out the copies. The first recipient that leads to an account or address makes its copy; who is a recipient
    has a copy of their own, filed as they want it, whoever else redirects to them."""
    local: dict[str, LocalCopy] = {}
    remote: dict[str, RemoteCopy] = {}
    carried: set[int] = set()  # recipients a copy of whom carries the whole request
    prefixes: dict[bytes, bytes] = {}  # one object for all copies that have the same on top
    led_on: dict[tuple[Address, bytes], _Borne] = {}  # once for a list, however many are on it
    for reached in (judgement.own, judgement.redirected) if judgement.plans else (judgement.own,):
        for number, recipient in enumerate(envelope.recipients):
            written = str(recipient.address)
            for route, plan in reached(recipient.address):
                prefix = prefixes.setdefault(plan.prefix, envelope.trace + plan.prefix)
                for account_id, came_for in route.local:
                    places = judgement.accounts.get(account_id)
                    if account_id not in local and places != ():
                        own = delivery_prefix(envelope.reverse_path, written) + prefix
                        mailbox = plan.mailbox or "INBOX"
                        wanted = DeliveryPlan(
                            account_id,
                            came_for,
                            mailbox,
                            plan.flags,
                            plan.keywords,
                            own,
                            plan.special_use,
                            places or (),
                        )
                        asked = _options(recipient, written, came_for, number in carried)
                        local[account_id] = LocalCopy(wanted, asked, account_id in route.over_quota)
                        carried.add(number)
                for address in route.remote:
                    key = _wire_key(address)
                    if key not in remote:
                        # RFC 3461 5.2.7.3: who sends to a list has asked for no word of its members.
                        listed = PLAIN_RCPT if route.owner else _options(recipient, written, address, number in carried)
                        borne = prefix, "", False
                        if address != written:
                            of = recipient.address, prefix
                            borne = led_on.get(of) or led_on.setdefault(of, _led_on(judgement, *of))
                        remote[key] = RemoteCopy(address, listed, *borne)
                        if not route.owner:
                            carried.add(number)
    return Copies(tuple(local.values()), tuple(remote.values()))


def _led_on(judgement: Judgement, recipient: Address, prefix: bytes) -> _Borne:
    """Return what a recipient's copies bear that are not for that address itself."""
    sender = judgement.senders.get(recipient)
    return (
        mark(recipient) + judgement.seals.get(recipient, b"") + prefix,
        "" if sender is None else str(sender),
        recipient in judgement.circles,
    )


def queued_recipients(
    made: Copies, next_try: float, routing: RoutingTable, reverse_path: str, account: str = ""
) -> tuple[QueuedRecipient, ...]:
    """Return the copies as rows of the queue, due at ``next_try``. :param account: who submitted the message, by address."""
    rows = [
        QueuedRecipient(
            index,
            copy.plan.recipient,
            LOCAL_DESTINATION,
            account_id=copy.plan.account_id,
            plan=encode_plan(copy),
            options=copy.options,
            next_try=next_try,
        )
        for index, copy in enumerate(made.local)
    ]
    encoded: dict[tuple[bytes, str], str] = {}
    leads: dict[tuple[str, str], str] = {}  # by domain and sender
    for index, remote in enumerate(made.remote, len(rows)):
        on_top = remote.prefix, remote.sender
        if on_top not in encoded:
            encoded[on_top] = _encode_remote(remote)
        way = remote.address.rpartition("@")[2], remote.sender or reverse_path
        if way not in leads:
            leads[way] = routing.destination(*way, account)
        row = QueuedRecipient(
            index,
            remote.address,
            leads[way],
            plan=encoded[on_top],
            options=remote.options,
            next_try=next_try,
        )
        rows.append(_ended(row) if remote.circle else row)
    return tuple(rows)


def _ended(row: QueuedRecipient) -> QueuedRecipient:
    """Return a recipient that no server is tried for: its sender is told why."""
    return replace(
        row,
        destination=GIVEN_UP_DESTINATION,
        last_status="5.4.6",
        reason=WaitReason.LOOP.value,
        last_reply="mail forwarding loop: it was here before",
    )


def encode_plan(copy: LocalCopy) -> str:
    """Return a plan as the queue keeps it; the account and the address stand in the row beside it."""
    plan = copy.plan
    fields: dict[str, object] = {"mailbox": plan.mailbox, "prefix": plan.prefix.decode("latin-1")}
    if plan.flags:
        fields["flags"] = plan.flags
    if plan.keywords:
        fields["keywords"] = plan.keywords
    if plan.special_use:
        fields["special_use"] = plan.special_use
    if plan.places:
        fields["places"] = [list(place) for place in plan.places]
    if copy.wait_for_room:
        fields["wait_for_room"] = True
    return _encode(fields)


def prefix_of(row: QueuedRecipient) -> bytes:
    """Return the header fields that go on top of a copy for another server."""
    return str(json.loads(row.plan).get("prefix", "")).encode("latin-1") if row.plan else b""


def _encode_remote(copy: RemoteCopy) -> str:
    fields: dict[str, object] = {}
    if copy.prefix:
        fields["prefix"] = copy.prefix.decode("latin-1")
    if copy.sender:
        fields["sender"] = copy.sender
    return _encode(fields) if fields else ""


def _encode(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def decode_plan(row: QueuedRecipient) -> tuple[DeliveryPlan, bool]:
    """Return the plan of a row, and whether its account was full when the message came."""
    fields = json.loads(row.plan)
    plan = DeliveryPlan(
        row.account_id,
        row.address,
        fields["mailbox"],
        fields.get("flags", 0),
        tuple(fields.get("keywords", ())),
        fields["prefix"].encode("latin-1"),
        fields.get("special_use", ""),
        tuple([_place(*place) for place in fields.get("places", ())]),
    )
    return plan, bool(fields.get("wait_for_room"))


def _place(mailbox: str, flags: int, keywords: Sequence[str], *rest: str | bool | int) -> CopyPlace:
    special_use, create, use, mailbox_id = rest
    return CopyPlace(mailbox, flags, tuple(keywords), str(special_use), bool(create), str(use), int(mailbox_id))


def _options(recipient: Recipient, written: str, address: str, further: bool) -> RcptOptions:
    """Return what goes with a copy for an address. :param written: the recipient's own. :param further: another copy carries
    the whole request."""
    options = recipient.options.without_success if further else recipient.options
    if options.orcpt or written == address:
        return options
    # RFC 3461 5.2.1 (d): what was given goes on as it is; for an alias the address it stood for is added.
    return replace(options, orcpt=f"{'rfc822' if written.isascii() else 'utf-8'};{written}")


def _wire_key(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain_key(domain)}"
