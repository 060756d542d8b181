"""A world whose mailboxes may have scripts (RFC 6785): accounts, scripts and queue of the store itself, in memory."""

from __future__ import annotations

from dataclasses import replace

from imap_world import DAY
from shared_world import SharedWorld

from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.filtering import Filtering, environment
from mailnode.delivery.judge import Judge
from mailnode.delivery.mailbox_scripts import MailboxScripts
from mailnode.delivery.plans import prefix_of
from mailnode.delivery.router import Router
from mailnode.delivery.script_actions import ScriptActions
from mailnode.delivery.script_answers import ScriptAnswers
from mailnode.delivery.script_runner import ScriptRunner
from mailnode.delivery.server_scripts import ServerScripts
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.store.facades.named_scripts import NamedScripts
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.scripts import Scripts
from mailnode.values.mailbox_event import SCRIPT_ENTRY
from mailnode.values.scripts import ScriptQuota
from tests.telling_thread import TellingThread

HOST = "mail.example.org"
REQUIRED = [
    "copy",
    "editheader",
    "enotify",
    "environment",
    "fileinto",
    "imap4flags",
    "imapsieve",
    "mailbox",
    "special-use",
    "variables",
]
REQUIRE = "require [" + ", ".join(f'"{name}"' for name in REQUIRED) + "];\n"


class ScriptedWorld(SharedWorld):
    def __init__(self, directory, sending=None) -> None:
        super().__init__(directory)
        self.scripts = Scripts(self.engine, self.store.partition, self.directory, self.clock)
        self.named = NamedScripts(self.engine, self.store.partition, self.directory, self.clock)
        self.queue = Queue(self.engine, self.store._blobs)
        answers = ScriptAnswers(self.store, self.queue, self.scripts, self.clock)
        self.sieve = ScriptRunner(CallingThread(), self.processes, answers)
        router = Router(self.directory, self.store)
        threads = self.threads = TellingThread()
        actions = ScriptActions(self.directory, router, Judge(router), self.queue, self.clock, threads, HOST)
        self.filtering = Filtering(
            self.scripts, self.sieve, actions, self.directory, self.clock, ServerScripts(), threads, HOST, "1"
        )
        delivery = Acceptance(
            self.store._blobs,
            self.store,
            self.queue,
            CallingThread(),
            self.processes,
            self.hints,
            expires=lambda created, null_sender: created + DAY,
        )
        self.mailbox_scripts = MailboxScripts(
            self.directory,
            self.store,
            self.named,
            self.scripts,
            self.sieve,
            actions,
            self.filtering,
            delivery,
            self.clock,
            self.threads,
            environment(HOST, "1"),
            sending,
        )
        self.services = replace(self.services, scripts=self.mailbox_scripts, script_server="sieve://mail.example.org")

    def script(self, source: str, name: str = "s", owner: str = "acc") -> None:
        """Store a script, without making it the active one."""
        run_now(self.scripts.put(owner, name, (REQUIRE + source).encode(), ScriptQuota()))

    def name(self, mailbox: str = "INBOX", script: str | None = "s", owner: str = "acc") -> None:
        """Name the script of a mailbox; of all where that is ""."""
        mail = self.store.account(owner)
        mailbox_id = run_now(mail.named(mailbox)).id if mailbox else 0
        value = script.encode() if script is not None else None
        run_now(mail.annotate(mailbox_id, [("", SCRIPT_ENTRY, value)]))
        run_now(self.mailbox_scripts.renamed())

    def holds(self, mailbox: str = "INBOX", owner: str = "acc") -> list[tuple[str, ...]]:
        """Return the flags of each message of a mailbox."""
        mail = self.store.account(owner)
        found = run_now(mail.open(run_now(mail.named(mailbox)).id).snapshot())
        return [found.keywords.flag_names(flags) for flags in found.flags]

    def queued(self) -> list[tuple[str, str, str]]:
        """Return reverse-path, recipient and content of what waits in the queue."""
        found = []
        for envelope in run_now(self.queue.envelopes()):
            blob = run_now(self.queue.staged(envelope.blob))
            text = run_now(self.store._blobs.read_staged(blob)).decode()
            found += [
                (envelope.reverse_path, one.address, prefix_of(one).decode() + text) for one in envelope.recipients
            ]
        return found
