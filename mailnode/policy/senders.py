"""Whom the operator lets in, and whom not, by lists in the configuration."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from pydantic import Field, field_validator
from zope.interface import implementer

from mailnode.errors import BadAddress
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.interfaces.runtime import IThreads
from mailnode.message.dmarc import author_domains
from mailnode.policy.options import OptionModel
from mailnode.policy.sender import address_key, sender_domain, verified_domain
from mailnode.values.address import domain_key, parse_address
from mailnode.values.networks import Networks, within
from mailnode.values.policy import PASS, Findings, PolicyRequest, Verdict

LARGE = 32 * 1024  # octets of a header block from which on it is read in a thread


class Entries:
    """Networks, addresses and domains; ``.example.org`` is also all below it."""

    def __init__(self, texts: Iterable[str]) -> None:
        """:raises ValueError: one is none of these."""
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._senders: set[str] = set()
        self._parents: set[str] = set()
        for text in texts:
            if (network := _network(text)) is not None:
                networks.append(network)
                continue
            try:
                if "@" in text:
                    self._senders.add(parse_address(text).key)
                elif text.startswith("."):
                    self._parents.add(domain_key(text[1:]))
                else:
                    self._senders.add(domain_key(text))
            except BadAddress as error:
                raise ValueError(f"{text}: no address, network or domain") from error
        self._networks: Networks = networks
        self._senders |= self._parents

    def has_client(self, peer: str) -> bool:
        """Whether an IP address is in one of the networks."""
        return within(peer, self._networks)

    def has_sender(self, *keys: str) -> bool:
        """Whether an address or a domain, by its key, is one of these."""
        return any(key in self._senders or self._is_below(key) for key in keys)

    @property
    def has_domains(self) -> bool:
        """Whether there are others than networks."""
        return bool(self._senders)

    def _is_below(self, key: str) -> bool:
        labels = key.rpartition("@")[2].split(".") if self._parents else []
        return any(".".join(labels[at:]) in self._parents for at in range(1, len(labels)))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


class SendersOptions(OptionModel):
    """Of the policy."""

    allow: list[str] = Field(
        [],
        description="Networks, addresses and domains that are let in: no policy after this one is asked. An address or a domain "
        "counts only where SPF or DMARC has found that the mail is theirs.",
    )
    block: list[str] = Field(
        [],
        description="Networks, addresses and domains (of HELO, the reverse-path or From) that are refused. ``.example.org`` is "
        "also all below it.",
    )
    text: str = Field(
        "Mail from this sender is not taken here", min_length=1, max_length=200, description="What they are told."
    )

    @field_validator("allow", "block")
    @classmethod
    def _are_entries(cls, value: list[str]) -> list[str]:
        Entries(value)
        return value

    @field_validator("text")
    @classmethod
    def _is_a_line(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()):
            raise ValueError("one line of ASCII")
        return value


OPTIONS = SendersOptions


def make(options: SendersOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return SendersPolicy(options, context.threads)


@implementer(IPolicy)
class SendersPolicy:
    """Judges at RCPT, where the log has everybody's names, and by From once it is known."""

    name = "senders"
    stages = frozenset({"rcpt", "end"})
    only_strangers = True

    def __init__(self, options: SendersOptions, threads: IThreads) -> None:
        self._allow = Entries(options.allow)
        self._block = Entries(options.block)
        self._text = options.text
        self._threads = threads

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        authors = await self._authors(request)
        sender = _keys(request)
        if self._allow.has_client(request.origin.peer) or self._allow.has_sender(
            *_verified(request.found, sender, authors)
        ):
            return Verdict("accept", reason="allowed by the operator")
        blocked = self._block.has_client(request.origin.peer) or self._block.has_sender(
            request.origin.helo.lower().removesuffix("."), *sender, *authors
        )
        if not blocked:
            return PASS
        return Verdict("refuse", "5.7.1", self._text, reason="blocked by the operator")

    async def _authors(self, request: PolicyRequest) -> Sequence[str]:
        """Return the domains of From, once it is known and anybody asks for them."""
        if request.stage != "end" or not (self._allow.has_domains or self._block.has_domains):
            return ()
        block = request.header
        large = len(block) >= LARGE
        domains, _ = await self._threads.run("cpu", author_domains, block) if large else author_domains(block)
        return domains


def _keys(request: PolicyRequest) -> tuple[str, ...]:
    """Return the reverse-path and its domain as entries have them."""
    sender = request.reverse_path
    return (address_key(sender), sender_domain(sender)) if sender is not None else ()


def _verified(found: Findings, sender: tuple[str, ...], authors: Sequence[str]) -> tuple[str, ...]:
    """Return what of it the mail is known to be from."""
    of_authors = found.result("dmarc") == "pass" and len(authors) == 1
    return (sender if verified_domain(found) in sender else ()) + (tuple(authors) if of_authors else ())
