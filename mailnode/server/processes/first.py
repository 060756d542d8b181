"""The further processes of a server, composed by the first one: what each is given, what it may ask for, what all of them
counted. docs/design.rst tells who does what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from mailnode.admin.administration import ProcessStatus
from mailnode.auth.realm import SessionCounts
from mailnode.config.holder import Holder
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.sending import ISending
from mailnode.net.client_counts import ClientCountsMemory
from mailnode.net.tls import CertificateStore
from mailnode.server.processes.handover import Clients, HandedSocket, Handover, LogPlace, Served
from mailnode.server.processes.hints import SharedHints
from mailnode.server.processes.link import ProcessLink
from mailnode.server.processes.supervisor import Supervisor, Worker
from mailnode.server.serving import Serving
from mailnode.server.stores import OwnStores
from mailnode.web.merging import Snapshot, lasting, merged

T = TypeVar("T")


class FurtherProcesses:
    """All processes but the first; there may be none. ``start`` before it takes connections, ``stop``; once each."""

    def __init__(
        self,
        reactor: IServerReactor,
        holder: Holder,
        serving: Serving,
        stores: OwnStores,
        certificates: CertificateStore,
        counts: SessionCounts,
        sending: ISending,
        hints: SharedHints,
        log: LogPlace,
    ) -> None:
        """:param holder: of what all serve. :param counts: where this process counts sessions, and all others do.
        :param sending: asked by all what accounts may send.
        :param log: where the others log."""
        self._holder = holder
        self._serving = serving
        self._stores = stores
        self._certificates = certificates
        self._counts = counts
        self._sending = sending
        self._hints = hints
        self._log = log
        self._memory: ClientCountsMemory | None = None
        self._sessions: dict[Worker, Counter[tuple[str, str]]] = {}
        self._counted: dict[int, Snapshot] = {}  # by those that run, as last heard
        self._ended: Snapshot = []  # by those that have ended
        further = holder.config.server.workers - 1
        self._workers = Supervisor(reactor, further, self._hand_over, self._handlers, self._forget)
        holder.tell(lambda config: self._workers.tell("serve", self._now()))

    # life

    async def start(self) -> None:
        """Count clients together from now on, and start all; return when they take connections.

        :raises ConfigurationError: one cannot be started. :raises OSError: no shared memory."""
        config = self._holder.config
        self._memory = ClientCountsMemory.make(config.server.workers, len(config.listener))
        self._serving.share_clients(self._memory, 0)
        await self._workers.start()

    async def stop(self, grace: float) -> None:
        """Let their sessions end within so many seconds, then end them."""
        await self._workers.stop(grace)
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    # what this process tells them

    def links(self) -> list[ProcessLink]:
        """To those that take connections."""
        return self._workers.links()

    def reopen_log(self) -> None:
        """Write to the file that has the log's name now."""
        self._workers.tell("reopen")

    async def changed(self) -> None:
        """Return when all have forgotten what they remember of directory and accounts, or did not answer in time."""
        await self._workers.ask("changed")

    async def mail_changed(self) -> bool:
        """Return when all serve the partitions that this process does, and have forgotten what they remember of mail; False: some
        did not say so in time, or start or end just now, and will have."""
        self._workers.tell("mail_changed")  # also those that start
        return len(await self._workers.ask("mail_changed")) >= self._workers.running

    async def _directory_changed(self) -> None:
        """One of them changed the directory: return when all have forgotten what they remember of it."""
        await self._stores.directory.poll()
        await self.changed()

    async def served(self) -> list[ProcessStatus]:
        """Return what each serves now, without those that start or do not answer in time."""
        # Words and questions come in order: who answers has heard of the last change.
        return [answer for _, answer in sorted((await self._workers.ask("served")).items())]

    async def write_counts(self) -> None:
        """Return when all have written what they count for the store, or did not answer in time."""
        await self._workers.ask("counts")

    async def counted(self) -> tuple[int, list[Snapshot]]:
        """Return how many serve, and what they counted, those that have ended or are busy too."""
        self._counted.update(await self._workers.ask("metrics"))
        return self._workers.up, [one for one in (*self._counted.values(), self._ended) if one]

    # what each is given and may ask for

    def _hand_over(self, number: int) -> Handover:
        memory = self._memory
        assert memory is not None
        places = [
            HandedSocket(index, place.descriptor, place.family, place.backlog)
            for index, place in self._serving.handed_over().items()
        ]
        clients = Clients(memory.descriptor, memory.key, memory.processes, memory.listeners)
        return Handover(number, self._now(), tuple(places), clients, self._log)

    def _now(self) -> Served:
        certificates = tuple(pair.as_pem() for pair in self._certificates.pairs)
        proofs = tuple((name, *pair.as_pem()) for name, pair in self._certificates.proofs.items())
        return Served(self._holder.generation, self._holder.config, certificates, proofs)

    def _handlers(self, worker: Worker) -> Mapping[str, Callable[..., object]]:
        sessions = self._sessions[worker] = Counter()
        engine, queue, counters, counts = self._stores.engine, self._stores.queue, self._stores.ephemeral, self._counts

        async def write(
            tenancy: str, unit: Callable[..., T], args: tuple[object, ...], kwargs: Mapping[str, object]
        ) -> T:
            return await engine.write(tenancy, unit, *args, **kwargs)

        async def enter(account_id: str, protocol: str, limit: int) -> bool:
            entered = await counts.enter(account_id, protocol, limit)
            if entered:
                sessions[account_id, protocol] += 1
            return entered

        def leave(account_id: str, protocol: str) -> None:
            if sessions[account_id, protocol] > 0:
                sessions[account_id, protocol] -= 1
                counts.leave(account_id, protocol)

        return {
            "state": self._now,
            "write": write,
            "directory.changed": self._directory_changed,
            "damaged": self._stores.known_damage.note,
            "sound": self._stores.known_damage.is_sound,
            "out_of_service": lambda: dict(engine.out_of_service),
            "enqueue": queue.enqueue,
            "enqueue_together": queue.enqueue_together,
            "counter.take": counters.take,
            "counter.give_back": counters.give_back,
            "counter.add": counters.add,
            "counter.get": counters.get,
            "counter.clear": counters.clear,
            "sending.admit": self._sending.admit,
            "sending.give_back": self._sending.give_back,
            "sending.sent": self._sending.sent,
            "sending.returned": self._sending.returned,
            "session.enter": enter,
            "session.leave": leave,
            "hints": lambda modseqs, wake: self._hints.heard(worker.link, modseqs, wake),
        }

    def _forget(self, worker: Worker) -> None:
        """One has ended: what it held is free."""
        for (account_id, protocol), count in self._sessions.pop(worker, Counter()).items():
            for _ in range(count):
                self._counts.leave(account_id, protocol)
        if self._memory is not None:
            self._memory.forget(worker.number - 1)
        self._ended = merged([self._ended, lasting(self._counted.pop(worker.number, []))])
