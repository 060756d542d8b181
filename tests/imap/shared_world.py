"""A world with accounts on the store itself: alice, who shares, bob and carol, and team, which belongs to nobody."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from imap_stores import sqlite_account
from imap_world import Client, Login, User, World

from mailnode.admin.sharing import Sharing
from mailnode.net.no_reactor import run_now
from mailnode.store.facades.directory import Directory
from mailnode.values.address import parse_address
from mailnode.values.directory import SHARED, Account

PEOPLE = {"alice": "acc", "bob": "bob", "carol": "carol"}  # ids


class SharedWorld(World):
    """``connect("b", user="bob")`` is a session of bob's."""

    def __init__(self, directory) -> None:
        super().__init__(partial(sqlite_account, directory=directory))
        self.directory = Directory(self.engine)
        run_now(self.directory.add_domain("example.org"))
        for name, account_id in PEOPLE.items():
            run_now(self.store.provision(account_id))
            run_now(self.directory.add_account(account_id, parse_address(f"{name}@example.org"), 1.0))
        run_now(self.store.provision("team", 0, 0))
        run_now(self.directory.add_account("team", parse_address("team@example.org"), 1.0, SHARED))
        self.services = replace(self.services, sharing=Sharing(self.directory, self.store, self.hints))
        self.logins.password = self._password

    async def _password(self, user, password, interface, mind):
        name = user.decode()
        avatar = User(self.store.account(PEOPLE[name]))
        avatar.account = Account(PEOPLE[name], f"{name}@example.org")
        self.logins.standing += 1
        return Login(self.logins, avatar)

    def partition(self, account_id):
        return self.store.partition(account_id)

    async def modseqs(self, account_ids):
        return await self.store.modseqs(account_ids)

    def enter(self, name: str, user: str, select: str = "") -> Client:
        """Connect and log in."""
        client = self.connect(name, login=False)
        assert client.ask(f"l LOGIN {user} secret")[-1].startswith("l OK")
        if select:
            assert client.ask(f's SELECT "{select}"')[-1].startswith("s OK"), select
        client.received()
        return client

    def give(self, mailbox: str, who: str, rights: str, owner: str = "acc") -> None:
        """Have the owner of a mailbox give somebody these rights. :param owner: the id of an account."""
        mail, sharing = self.store.account(owner), self.services.sharing
        identifier = run_now(sharing.identifier(who))
        run_now(sharing.give_rights(mail, run_now(mail.named(mailbox)).id, identifier, "set", rights))

    def put(self, raw: bytes = b"", mailbox: str = "INBOX", owner: str = "acc", **fields) -> int:
        """Place a message. :param owner: the id of an account."""
        here, self.account = self.account, self.store.account(owner)
        try:
            return super().put(raw, mailbox, **fields)
        finally:
            self.account = here
