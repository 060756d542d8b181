"""Stand-ins for what the delivery room sees: directory, mail store, blobs, resolver, other servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.errors import LimitReached, NoSuchAccount, NoSuchName, OverQuota
from mailnode.interfaces.delivery import IDelivery
from mailnode.interfaces.outbound import (
    IOutbound,
    IResolver,
    MxRecord,
    OutboundMessage,
    OutboundReport,
    Reached,
    Records,
    Target,
    TargetFailed,
    TlsaRecord,
)
from mailnode.interfaces.runtime import IBatches, IProcesses, IThreads
from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailStore
from mailnode.values.address import Address
from mailnode.values.blob import BlobRef, EncodedContent, StagedBlob
from mailnode.values.directory import Resolved
from mailnode.values.mailbox import Delivered, DeliveryPlan, NewMessage, Usage
from mailnode.values.smtp_reply import Reply

T = TypeVar("T")


class Directory:
    """Addresses and what they resolve to; the part of IDirectory that delivery asks."""

    def __init__(self, **accounts: str) -> None:
        self.local_domains = {"here.example"}
        self.routes: dict[str, Resolved] = {}
        for name in accounts.values():
            self.routes[f"{name}@here.example"] = Resolved(True, ((f"id-{name}", f"{name}@here.example"),))

    async def is_local(self, domain: str) -> bool:
        return Address("x", domain).domain_key in self.local_domains

    async def resolve(self, address: Address) -> Resolved:
        if address.domain and address.domain_key not in self.local_domains:
            return Resolved(True, remote=(str(address),))
        key = address.key if address.domain else address.local.lower()
        return self.routes.get(key, Resolved(False))


@implementer(IMailStore)
class MailStore:
    """Copies in a list. Accounts are ``id-NAME``; the partition is 1 for names that begin with ``z``."""

    def __init__(self) -> None:
        self.units: list[tuple[str, list[DeliveryPlan], NewMessage, bool]] = []
        self.gone: set[str] = set()
        self.full: set[str] = set()
        self.usages: dict[str, Usage] = {}
        self.applied: dict[tuple[str, str, str], Delivered] = {}
        self.error: Exception | None = None

    def copies(self) -> list[str]:
        return [plan.account_id for _, plans, _, _ in self.units for plan in plans]

    async def usage(self, account_ids: Sequence[str]) -> dict[str, Usage]:
        return {name: self.usages.get(name, Usage(0, 0, 0, 0)) for name in account_ids}

    def partition(self, account_id: str) -> int:
        return int(account_id.startswith("id-z"))

    async def deliver(
        self, envelope_id: str, plans: Sequence[DeliveryPlan], message: NewMessage, applied_once: bool
    ) -> list[Delivered]:
        assert len({self.partition(plan.account_id) for plan in plans}) == 1
        if self.error is not None:
            raise self.error
        if any(plan.account_id in self.gone for plan in plans):
            raise NoSuchAccount
        if any(plan.account_id in self.full for plan in plans):
            raise OverQuota
        fresh = [plan for plan in plans if (envelope_id, plan.account_id, plan.recipient) not in self.applied]
        done = []
        for plan in plans:
            made = Delivered(plan.account_id, plan.recipient, 1, len(self.applied) + 1, 7)
            done.append(self.applied.setdefault((envelope_id, plan.account_id, plan.recipient), made))
        self.units.append((envelope_id, fresh if applied_once else list(plans), message, applied_once))
        return done

    async def keep_some(self, account_id: str, name: str, message: NewMessage, most: int, seconds: float) -> None:
        raise NotImplementedError

    async def provision(self, account_id: str, quota_bytes: int = 0, quota_count: int = 0) -> None:
        raise NotImplementedError

    def require_service(self, account_id: str) -> None:
        raise NotImplementedError

    async def remove(self, account_id: str) -> None:
        raise NotImplementedError

    async def set_quota(self, account_id: str, quota_bytes: int, quota_count: int, quota_mailboxes: int = 0) -> None:
        raise NotImplementedError

    def account(self, account_id: str) -> Any:
        raise NotImplementedError

    def shared(self, account_id: str, reader: str, nobodys: bool = False) -> Any:
        raise NotImplementedError

    async def forget_reader(self, account_id: str, reader: str) -> None:
        raise NotImplementedError

    async def modseqs(self, account_ids: Sequence[str]) -> dict[str, int]:
        raise NotImplementedError


@implementer(IBlobWriter)
class Writer:
    def __init__(self, blobs: Blobs, limit: int) -> None:
        self._blobs, self._limit, self._data = blobs, limit, b""

    @property
    def size(self) -> int:
        return len(self._data)

    async def write(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._limit:
            raise LimitReached

    async def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    async def finish(self) -> StagedBlob:
        return self._blobs.stage(self._data)

    async def finish_with(self, look: Callable[[bytes], T]) -> tuple[StagedBlob, T | None]:
        return self._blobs.stage(self._data), look(self._data) if self._blobs.keeps else None

    def take(self) -> bytes:
        return self._data

    def abort(self) -> None:
        pass


@implementer(IBlobs)
class Blobs:
    """Blobs that are staged for ever."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int | None]] = []
        self.put_encoded: list[EncodedContent | None] = []
        self.keeps = True  # content in memory until a writer is finished

    def stage(self, data: bytes) -> StagedBlob:
        return StagedBlob(BlobRef(f"b{id(data)}", len(data), "inline", "plain", hashlib.sha256(data).digest()), data)

    def writer(self, limit: int) -> Writer:
        return Writer(self, limit)

    async def put(self, data: bytes, encoded: EncodedContent | None = None) -> StagedBlob:
        self.put_encoded.append(encoded)
        return replace(self.stage(data), content=data)

    async def read_staged(self, blob: StagedBlob, offset: int = 0, length: int | None = None) -> bytes:
        self.reads.append((offset, length))
        return blob.data[offset:] if length is None else blob.data[offset : offset + length]


@implementer(IThreads)
class Threads:
    """Runs at once."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    async def run(self, pool: str, function: Callable[..., T], *args: Any) -> T:
        self.calls.append((pool, getattr(function, "__name__", "")))
        return function(*args)


@implementer(IBatches)
class Batches:
    """Keeps each call with the Deferred that answers it."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, Deferred[Any]]] = []
        self.others: list[tuple[object, ...]] = []

    async def run(self, content: bytes, *others: object) -> Any:
        self.asked.append((content, Deferred()))
        self.others.append(others)
        return await self.asked[-1][1]


@implementer(IProcesses)
class Processes:
    """Runs at once."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        self.calls.append(args)
        return function(*args)

    def begin(self, function: Callable[..., object]) -> None:
        pass


@implementer(IResolver)
class Zone:
    """DNS data: domain -> MX list, host -> addresses; an exception class instead fails. What is missing does not exist."""

    def __init__(self) -> None:
        self.mx_data: dict[str, Any] = {}
        self.address_data: dict[str, Any] = {}
        self.tlsa_data: dict[str, Any] = {}
        self.txt_data: dict[str, Any] = {}
        self.ptr_data: dict[str, Any] = {}  # by address
        self.aliases: dict[str, str] = {}
        self.secure: set[str] = set()  # names whose answers are validated
        self.asked: list[str] = []

    async def mx(self, domain: str) -> Records[MxRecord]:
        found = self.mx_data.get(domain, () if domain in self.address_data else NoSuchName)
        if isinstance(found, type):
            raise found("no")
        return Records((MxRecord(*record) for record in found), secure=domain in self.secure)

    async def addresses(self, host: str) -> Records[str]:
        self.asked.append(host)
        found = self.address_data.get(host, NoSuchName)
        if isinstance(found, type):
            raise found("no")
        return Records(found, secure=host in self.secure, name=self.aliases.get(host, ""))

    async def a(self, host: str) -> Records[str]:
        found = await self.addresses(host)
        return Records([address for address in found if ":" not in address], name=found.name)

    async def aaaa(self, host: str) -> Records[str]:
        found = await self.addresses(host)
        return Records([address for address in found if ":" in address], name=found.name)

    async def ptr(self, address: str) -> Records[str]:
        found = self.ptr_data.get(address, NoSuchName)
        if isinstance(found, type):
            raise found("no")
        return Records(found)

    async def txt(self, name: str) -> Records[bytes]:
        found = self.txt_data.get(name, NoSuchName)
        if isinstance(found, type):
            raise found("no")
        return Records(found)

    async def tlsa(self, name: str) -> Records[TlsaRecord]:
        self.asked.append(name)
        found = self.tlsa_data.get(name, NoSuchName)
        if isinstance(found, type):
            raise found("no")
        return Records(found, secure=name in self.secure)


@implementer(IOutbound)
class Net:
    """Other servers: ``servers`` maps an address to a function of the message that returns or raises."""

    def __init__(self) -> None:
        self.servers: dict[str, Callable[[OutboundMessage], Any]] = {}
        self.sent: list[tuple[Target, OutboundMessage]] = []
        self.raced: list[list[str]] = []
        self.unreachable: set[str] = set()
        self.slow: set[str] = set()

    async def reach(self, targets: Sequence[Target]) -> Reached:
        """What is in ``unreachable`` fails; of the others the quickest is the first."""
        self.raced.append([target.address for target in targets])
        failed = []
        for target in sorted(targets, key=lambda one: one.address in self.slow):
            if target.address not in self.unreachable:
                return Reached(target, tuple(failed))
            failed.append((target, TargetFailed("connect", "connection refused")))
        return Reached(None, tuple(failed))

    async def send(self, target: Target, message: OutboundMessage) -> OutboundReport:
        self.sent.append((target, message))
        answer = self.servers[target.address](message)
        if isinstance(answer, OutboundReport):
            return answer
        if isinstance(answer, Reply):
            return OutboundReport((answer,) * len(message.recipients))
        return OutboundReport(tuple(answer))

    @property
    def tried(self) -> list[str]:
        return [target.address for target, _ in self.sent]


@implementer(IDelivery)
class Scanner:
    """The scanning part of IDelivery."""

    def __init__(self, scan: Callable[[bytes], Any]) -> None:
        self._scan = scan

    def writer(self, size: int) -> Any:
        raise NotImplementedError

    async def scan(self, blob: StagedBlob) -> Any:
        return self._scan(blob.data)

    async def stage(self, writer: Any, reading: Any = None) -> Any:
        raise NotImplementedError

    async def accept(self, envelope: Any, routes: Any, blob: Any, facts: Any) -> None:
        raise NotImplementedError
