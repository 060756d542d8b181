"""Proves that mail arrives: a message to the person's own mailbox through the public MX, and one to an address elsewhere, of which
what comes back is read."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar, cast

from mailnode.admin.queue import EnvelopeRecord
from mailnode.admin.trial_login import TrialLogin
from mailnode.config.endpoints import tcp_port
from mailnode.errors import BadAddress
from mailnode.interfaces.dns import DnsQuestion
from mailnode.message.compose import date_field, message_id_field
from mailnode.setup.answers import Question, yes_or_no
from mailnode.setup.items.configuration import present
from mailnode.setup.returned import explain, reason_in_words
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import ADDRESSES, HOST_NAME
from mailnode.values.address import parse_address
from mailnode.values.item import Item, ItemState

T = TypeVar("T")

ARRIVES, NAME = "mail-arrives", "mail-leaves"
KEPT = "round-trip"
NOBODY = "none"
PAUSE = 1.0  # seconds between looks into the mailbox, or at DNS
ARRIVAL = 30.0  # seconds that a message which was taken may need here
ANSWER = 15.0  # seconds that an answer is waited for at least
MAX_HOSTS = 4  # of the MX that are tried


def _address(text: str) -> str:
    if text.strip() in ("", NOBODY):
        return NOBODY
    try:
        found = parse_address(text.strip())
    except BadAddress as error:
        raise ValueError(f"{text}: no address: {error}") from None
    if not found.is_ascii:
        raise ValueError(f"{text}: should be an address in ASCII")
    return str(found)


ECHO = Question(
    "echo_address",
    "An address elsewhere for a test message: one that answers with results, or your own at another provider; none: no test",
    _address,
)

ARRIVED = Question("arrives", "Whether a message from elsewhere arrived (yes or no)", yes_or_no)


# In


def _look_at_arrival(around: Surrounded) -> Item:
    if around.answers.known(ARRIVED) == "yes":
        return Item(ARRIVES, ItemState.DONE, "a message from elsewhere arrived, as was answered")
    when = around.progress.value(KEPT, f"arrived for {around.domain}")
    if when:
        return Item(ARRIVES, ItemState.DONE, f"a message through the public MX arrived on {when}")
    return Item(ARRIVES, ItemState.TO_DO, "a message to your own mailbox is to be sent through the public MX")


def _send_in(around: Surrounded) -> None:
    token = _token()
    message = _message(around, str(around.address), token, "This message came in through the public MX of your domain.")
    host, address = _offered(around, message)
    with _trial(around) as login:
        port = _port(around, "imap")
        found = _looked_for(around, ARRIVAL, lambda: around.mail.find(login, port, token))
    if not found:
        raise SetupTrouble(*_lost(around, host, address))
    around.progress.remember(KEPT, f"arrived for {around.domain}", _today(around))


def _lost(around: Surrounded, host: str, address: str) -> tuple[str, str]:
    """Return what is said of a message that somebody took and that was not found here, and what to do."""
    took = f"{host} ({address}) took the message, and it was not found in INBOX and Junk here"
    if address in (around.answers.known(ADDRESSES) or "").split():
        return took, "That is this machine: the server's log says what became of the message, or of the search for it."
    seen = f"{took}: the MX leads to another server"
    return seen, f"Let the MX record of {around.domain} lead to {around.answers.of(HOST_NAME)}."


def _offered(around: Surrounded, message: bytes) -> tuple[str, str]:
    """Offer a message to the servers of the MX in their order; return who took it. :raises SetupTrouble: nobody did."""
    servers = _looked_for(around, around.patience, lambda: _servers(around))
    if not servers:
        raise SetupTrouble(
            f"your resolver does not know the MX record of {around.domain}, or where it leads, yet",
            "It may remember for a while that there was none; run setup again later.",
            ItemState.WAITING,
        )
    own, greeting = str(around.address), around.answers.of(HOST_NAME)
    tried = []
    for host, address in servers:
        handed = around.mail.offer(address, greeting, own, own, message)
        if handed.taken:
            return host, address
        tried.append(f"{host} ({address}): {handed.words}")
    mend = "Is port 25 open from outside, in the firewall of this machine and of the provider? Behind NAT it may be that only\n"
    mend += "machines outside reach the public address: send a message from elsewhere, and answer arrives = true when it came."
    raise SetupTrouble(f"no server of the MX took a message: {'; '.join(tried)}", mend)


def _servers(around: Surrounded) -> list[tuple[str, str]]:
    """Return host and address of the servers of the MX, in their order, as the resolver knows them."""
    question = DnsQuestion(around.domain, "MX")
    values = [value.partition(" ") for value in around.machine.look_up([question])[question].values]
    hosts = [host for _, host in sorted((int(number), host) for number, _, host in values if host != ".")]
    return [(host, address) for host in hosts[:MAX_HOSTS] for address in _addresses(around, host)]


def _addresses(around: Surrounded, host: str) -> list[str]:
    asked = [DnsQuestion(host, kind) for kind in ("A", "AAAA")]
    six = any(":" in own for own in around.machine.own_addresses())
    answers = around.machine.look_up(asked)
    return [value for one in asked for value in answers[one].values if six or ":" not in value]


# Out


def _look(around: Surrounded) -> Item:
    echo = around.answers.known(ECHO)
    if echo == NOBODY or (echo is None and not around.answers.can_ask):
        return Item(NAME, ItemState.SKIPPED, "no address elsewhere was given for a test", 'Answer echo_address = "..."')
    told = around.progress.value(KEPT, f"answer to {around.domain} of {echo}")
    if told:
        return Item(NAME, ItemState.DONE, f"a message to {echo} left and came back: {told}")
    return Item(NAME, ItemState.TO_DO, "a message to an address elsewhere is to be sent")


def _send_out(around: Surrounded) -> None:
    echo = around.answers.of(ECHO, NOBODY)
    if echo == NOBODY:
        return
    with _trial(around) as login:
        token = around.progress.value(KEPT, f"sent from {around.domain} to {echo}") or _submit(around, login, echo)
        port = _port(around, "imap")
        patience = max(around.patience, ANSWER)
        found = _looked_for(around, patience, lambda: around.mail.find(login, port, token))
    if not found:
        raise SetupTrouble(*_nothing_yet(around, echo), ItemState.WAITING)
    returned = explain(found[-1], around.answers.of(HOST_NAME))
    if not returned.good:
        around.progress.remember(KEPT, f"sent from {around.domain} to {echo}", "")  # the next run tries anew
        first, *others = returned.lines
        raise SetupTrouble(f"what came back of a message to {echo}: {first}", "\n".join(others))
    around.progress.remember(KEPT, f"answer to {around.domain} of {echo}", returned.short)
    for line in returned.lines:
        around.tell(line)


def _submit(around: Surrounded, login: tuple[str, str], echo: str) -> str:
    token, port = _token(), _port(around, "submission")
    message = _message(
        around, echo, token, "This message tries whether mail of a new server arrives. Please disregard it."
    )
    handed = around.mail.submit(login, port, str(around.address), echo, message)
    if not handed.taken:
        raise SetupTrouble(f"this server did not take a message of yours: {handed.words}")
    around.progress.remember(KEPT, f"sent from {around.domain} to {echo}", token)
    return token


def _nothing_yet(around: Surrounded, echo: str) -> tuple[str, str]:
    """Return what is known of a message that nothing came back of, and what to do."""
    waiting = cast(list[EnvelopeRecord], around.operate("queue.list", {"sender": str(around.address)}))
    for envelope in waiting:
        for recipient in envelope["recipients"]:
            if recipient["address"] == echo:
                reply = recipient["last_reply"]
                why = reason_in_words(reply) if reply else "no server has answered yet"
                return f"the message to {echo} still waits here: {why}", "mailnode queue list"
    mend = (
        f"If nothing answers at {echo} by itself: reply from there with the whole message quoted, header fields too,\n"
    )
    mend += "and run setup again."
    return f"the message to {echo} has left, and nothing came back yet", mend


# Both


def _token() -> str:
    return f"setup{secrets.token_hex(8)}"


def _message(around: Surrounded, to: str, token: str, line: str) -> bytes:
    """Return a message as a person's program writes it: robots answer no other."""
    host, own = around.answers.of(HOST_NAME), str(around.address)
    head = [f"From: <{own}>", f"To: <{to}>", f"Subject: mailnode setup of {around.domain} ({token})"]
    fields = date_field(around.machine.now()) + message_id_field(f"<{token}@{host}>")
    body = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", line, "", token, ""]
    return "\r\n".join(head).encode() + b"\r\n" + fields + "\r\n".join(body).encode()


@contextmanager
def _trial(around: Surrounded) -> Iterator[tuple[str, str]]:
    """Have a login of its own for the time of the trial, whatever the account's password is."""
    made = cast(TrialLogin, around.operate("account.trial-login", {"address": str(around.address)}))
    try:
        yield made["username"], made["password"]
    finally:
        around.operate("account.trial-end", {"address": str(around.address)})


def _port(around: Surrounded, protocol: str) -> int:
    """Return the port of a protocol that has TLS from the first octet. :raises SetupTrouble: there is none."""
    for listener in present(around).listener:
        port = tcp_port(listener.endpoint)
        if listener.protocol == protocol and listener.tls == "implicit" and port:
            return port
    raise SetupTrouble(f'the configuration has no listener for {protocol} with tls = "implicit", which the trial uses')


def _looked_for(around: Surrounded, patience: float, look: Callable[[], Sequence[T]]) -> Sequence[T]:
    until = around.machine.now() + patience
    while not (found := look()) and around.machine.now() < until:
        around.machine.pause(PAUSE)
    return found


def _today(around: Surrounded) -> str:
    return datetime.fromtimestamp(around.machine.now(), UTC).strftime("%Y-%m-%d")


ARRIVES_ITEM = SetupItem(
    ARRIVES,
    _look_at_arrival,
    _send_in,
    needs=("account", "dns-visible"),
    explained="The message takes the way that other servers take: the MX record, port 25, the checks, the mailbox. It is read over "
    "IMAP with a password that is made for the trial and taken back.",
)
ITEM = SetupItem(
    NAME,
    _look,
    _send_out,
    needs=(ARRIVES,),
    explained="What the other side says of SPF, DKIM and DMARC decides whether mail of yours ends among spam.",
)
