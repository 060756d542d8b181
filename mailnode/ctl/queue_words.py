"""What is said to people about each operation on the queue."""

from __future__ import annotations

import click

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl import display
from mailnode.ctl.parts import Place, shown
from mailnode.ctl.wording import Given, Words


def _choose_one(place: Place, given: Given) -> None:
    everything = given.pop("everything")
    filtered = any(given[name] is not None for name in _FILTER)
    if sum((given["envelope_id"] is not None, given["destination"] is not None, filtered, everything)) != 1:
        raise OperationFailed(
            Reason.WRONG_VALUE, "give an envelope, --destination, what recipients have in common, or --all"
        )


_ENVELOPE = {"envelope_id": [click.Argument(["envelope_id"], metavar="ENVELOPE")]}
_FILTER = {
    "domain": "Recipients in this domain, or whose mail goes to this next hop.",
    "sender": 'Mail from this address or this domain; "<>": from the null sender.',
    "older_than": "Mail that came more than so long ago: 90, 30m, 2h, 7d.",
    "state": "Recipients in this state; deferred ones wait after a try.",
    "reason": "Recipients that wait for this reason, a word of queue summary.",
    "reply": "Recipients with this text in their last status or reply.",
}
_ENVELOPE_OR_FILTER = {"envelope_id": [click.Argument(["envelope_id"], metavar="[ENVELOPE]", required=False)]}
_OF_ENVELOPE = {"recipient": "Only this recipient of the envelope."}
_DESTINATION = {"destination": [click.Argument(["destination"], metavar="[DESTINATION]", required=False)]}

QUEUE_WORDS = {
    "queue.list": Words(
        "List what waits, oldest first, or what was sent or failed, latest first: what all of the given holds for. For more"
        " than --limit go on with --after.",
        shown(display.envelopes),
        options=_FILTER
        | {
            "state": "Recipients in this state; deferred ones wait after a try. What was sent or failed is told for as long"
            " as [queue] sent_history says."
        }
        | {"after": "Only envelopes behind this one.", "limit": "At most so many; 0: as many as one answer holds."},
    ),
    "queue.summary": Words(
        "Show how much waits for which destination and for which reason, and how long it has.", shown(display.summary)
    ),
    "queue.message": Words(
        "Show a message that waits: its header and the beginning of its text.",
        shown(display.message),
        instead=_ENVELOPE,
    ),
    "queue.show": Words(
        "Show one envelope, gone ones too for a while, with all its recipients and what their last tries came to.",
        shown(display.envelope),
        instead=_ENVELOPE,
    ),
    "queue.retry": Words(
        "Try now what waits: one envelope, one destination, all that is given holds for, or everything.",
        shown(display.steered),
        options=_FILTER | _OF_ENVELOPE,
        instead={
            **_ENVELOPE_OR_FILTER,
            "destination": [
                click.Option(["--destination"], help="Everything for this domain."),
                click.Option(["--all", "everything"], is_flag=True, help="Everything."),
            ],
        },
        prepare=_choose_one,
    ),
    "queue.pause": Words(
        "Try nothing for a destination, or nothing at all, until it is resumed; show what is paused.",
        shown(display.pauses),
        instead=_DESTINATION,
    ),
    "queue.resume": Words(
        "End the pause of a destination, or that of the whole queue; show what is paused still.",
        shown(display.pauses),
        instead=_DESTINATION,
    ),
    "queue.hold": Words(
        "Keep an envelope from being tried, or all that have a recipient all of the given holds for.",
        shown(display.counted),
        options=_FILTER,
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.release": Words(
        "Let a held envelope go on, or all held ones that have a recipient all of the given holds for.",
        shown(display.counted),
        options={name: words for name, words in _FILTER.items() if name not in ("state", "reason")},
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.drop": Words(
        "Give up an envelope, or all recipients all of the given holds for, without a further try. Nobody is told.",
        shown(display.steered),
        "Give up this mail for good?",
        options=_FILTER | _OF_ENVELOPE | {"bounce": "Tell the senders that it was not delivered."},
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.expire": Words(
        "Try once more, now: an envelope, or all recipients all of the given holds for. What fails again comes back to its"
        " sender, as at the end of its lifetime.",
        shown(display.steered),
        options=_FILTER | _OF_ENVELOPE,
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.reroute": Words(
        "Send an envelope, or all recipients all of the given holds for, to another server, now and at further tries.",
        shown(display.steered),
        options=_FILTER
        | _OF_ENVELOPE
        | {"to": "HOST, HOST:PORT, or what a route leads to; without it by the routes of the configuration again."},
        instead=_ENVELOPE_OR_FILTER,
    ),
}
