"""Accounts with scripts on a store in memory: mail comes in, and what the queue has for mailboxes here is delivered."""

from __future__ import annotations

import json
from types import SimpleNamespace

from delivery_fakes import Processes
from twisted.internet.task import Clock

from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.filtering import Filtering
from mailnode.delivery.forwarding import Forwarding
from mailnode.delivery.judge import Judge
from mailnode.delivery.local import LocalAgent
from mailnode.delivery.router import Router
from mailnode.delivery.script_actions import ScriptActions
from mailnode.delivery.script_answers import ScriptAnswers
from mailnode.delivery.script_runner import ScriptRunner
from mailnode.delivery.server_scripts import ServerScripts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import run_now
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.scripts import Scripts
from mailnode.values.address import parse_address
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.ids import new_id
from mailnode.values.plan import AS_IT_IS
from mailnode.values.queue import DELIVERED, LOCAL_DESTINATION, Outcome, Settlement
from mailnode.values.scripts import ScriptQuota
from tests.telling_thread import TellingThread

NOW = 1_800_000_000.0
HOST = "mx.here.example"
HEADER = b"From: Bob <bob@there.example>\r\nTo: ann@here.example\r\nSubject: hello\r\nMessage-ID: <1@there.example>\r\n"
CONTENT = HEADER + b"\r\nbody\r\n"


class ScriptWorld:
    """``here.example`` with accounts, each of which may have a script."""

    def __init__(self, tmp_path, *names):
        self.clock = Clock()
        self.clock.advance(NOW)
        self.engine = SqliteEngine(None, 1)
        run_now(self.engine.start())
        threads = self.threads = TellingThread()
        self.processes = Processes()
        self.blobs = LocalBlobs(tmp_path / "blobs", threads, self.clock)
        self.blobs.prepare()
        self.queue = Queue(self.engine, self.blobs)
        self.directory = Directory(self.engine)
        self.mail = MailStore(self.engine, self.blobs, LocalHints(), self.clock, 1, self.queue.blobs_in_use)
        self.scripts = Scripts(self.engine, self.mail.partition, self.directory, self.clock)
        self.server = ServerScripts()
        forwarding = Forwarding(self.directory, self.clock, HOST)
        self.router = Router(self.directory, self.mail, own_names=[HOST], forwarding=forwarding)
        self.judge = Judge(self.router, forwarding)
        answers = ScriptAnswers(self.mail, self.queue, self.scripts, self.clock, self.server.included)
        self.filtering = Filtering(
            self.scripts,
            ScriptRunner(threads, self.processes, answers, str(tmp_path)),
            ScriptActions(self.directory, self.router, self.judge, self.queue, self.clock, threads, HOST),
            self.directory,
            self.clock,
            self.server,
            threads,
            HOST,
            "1",
            lambda: 5.0,
        )
        self.delivery = Acceptance(
            self.blobs,
            self.mail,
            self.queue,
            threads,
            self.processes,
            LocalHints(),
            expires=lambda created, null: created + 86_400,
        )
        self.agent = LocalAgent(self.directory, self.mail, self.queue)
        run_now(self.directory.add_domain("here.example"))
        for name in names:
            self.add(name)

    def add(self, name, quota=0):
        run_now(self.directory.add_account(name, parse_address(f"{name}@here.example"), NOW))
        run_now(self.mail.provision(name, quota))

    def script(self, name, source, script="main"):
        run_now(self.scripts.put(name, script, source.encode(), ScriptQuota()))
        run_now(self.scripts.activate(name, script))

    def envelope(self, *to, sender="bob@there.example", **more):
        path = parse_address(sender) if sender else None
        recipients = tuple(one if isinstance(one, Recipient) else Recipient(parse_address(one)) for one in to)
        origin = more.pop("origin", Origin("s", "ESMTP", "192.0.2.7"))
        return Envelope(new_id(self.clock.seconds()), path, recipients, origin, self.clock.seconds(), **more)

    def filtered(self, envelope, content=CONTENT, common=AS_IT_IS, each=False, score=None):
        async def read(offset, length):
            return content[offset : offset + length]

        routes = {one.address: run_now(self.router.resolve(one.address, relay=True)) for one in envelope.recipients}
        judgement = run_now(self.judge.judge(envelope, routes, common, {}, content.partition(b"\r\n\r\n")[0] + b"\r\n"))
        return run_now(self.filtering.filtered(envelope, judgement, len(content), read, each, score))

    def send(self, *to, content=CONTENT, each=False, common=AS_IT_IS, score=None, **more):
        """A message comes; what is for mailboxes here gets there. Return what scripts made of it."""
        envelope = self.envelope(*to, **more)
        filtered = self.filtered(envelope, content, common, each, score)
        blob = facts = None
        if filtered.needs_message:
            blob = run_now(self.blobs.put(content))
            facts = run_now(self.delivery.scan(blob)) if filtered.files_message else None
        if blob is not None and filtered.is_plain:
            run_now(self.delivery.accept(envelope, filtered.judgement, blob, facts))
        elif not filtered.is_plain:
            run_now(self.delivery.accept_filtered(envelope, filtered, blob, facts))
        self.deliver()
        return filtered

    def deliver(self):
        """Place what waits for mailboxes here."""
        while claims := run_now(self.queue.claim(LOCAL_DESTINATION, self.clock.seconds(), 60.0, 100, 10)):
            for claim in claims:
                report = run_now(self.agent.attempt(claim))
                outcomes = tuple(Outcome(claim.envelope.id, one.index, DELIVERED) for one in report.attempts)
                assert all(one.result == "sent" for one in report.attempts), report
                run_now(self.queue.settle(Settlement(claim.token, outcomes)))

    def mailboxes(self, name):
        """Return what an account has: the messages of each mailbox that is not empty, with the names of their flags."""
        account, found = self.mail.account(name), {}
        for info in run_now(account.mailboxes()):
            mailbox = account.open(info.id)
            snapshot = run_now(mailbox.snapshot())
            if snapshot.uids:
                rows = run_now(mailbox.rows(snapshot.uids.tolist(), ["prefix", "blob", "flags"]))
                found[info.name] = [
                    SimpleNamespace(
                        content=prefix + run_now(mailbox.read(blob)),
                        flags=snapshot.keywords.flag_names(flags),
                    )
                    for _, prefix, blob, flags in rows
                ]
        return found

    def counts(self, name):
        return {mailbox: len(found) for mailbox, found in self.mailboxes(name).items()}

    def outgoing(self):
        """Return what waits for other servers: (address, reverse-path, whole message), by address."""
        found = []
        for envelope in run_now(self.queue.envelopes()):
            content = run_now(self.queue.read(envelope.blob))
            for row in envelope.recipients:
                if row.destination != LOCAL_DESTINATION:
                    prefix = json.loads(row.plan).get("prefix", "").encode("latin-1") if row.plan else b""
                    found.append(
                        SimpleNamespace(
                            to=row.address,
                            sender=row.sender(envelope.reverse_path),
                            content=prefix + content,
                            options=row.options,
                            ret=envelope.options.ret,
                        )
                    )
        return sorted(found, key=lambda one: one.to)
