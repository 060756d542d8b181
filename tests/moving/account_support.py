"""An account of a store without a server, and the command, for tests of what moves in and out."""

import json

from click.testing import CliRunner

from mailnode.config.demo import demo_config
from mailnode.ctl.main import main
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration

ALICE = "alice@mailnode.test"
ARRIVED = 1_676_171_045  # UTC seconds


def run(data, *arguments, stdin=None, code=0):
    """Run the command on a data directory; return what it prints."""
    result = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result.stdout


class MovingAccount:
    """A data directory with one account."""

    def __init__(self, folder, address=ALICE):
        self.data = folder
        self.address = address

    def make(self):
        """Make the account, and its directory."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        run(self.data, "account", "add", self.address, "--password-stdin", stdin="first of these\n")
        return self

    def bring(self, kind, *arguments, code=0):
        """Run an import; return its report."""
        *source, options = (*arguments, ()) if not isinstance(arguments[-1], tuple) else arguments
        return json.loads(run(self.data, "import", kind, *source, self.address, "--json", *options, code=code))

    def work(self, job):
        """Return what a coroutine function of the account's mail returns."""

        async def on(admin):
            found = {account.address: account.id for account in await admin.directory.accounts()}
            return await job(admin.mail.account(found[self.address]))

        with administration(demo_config(self.data)) as admin:
            return run_now(on(admin))

    def names(self):
        """Return the names of all mailboxes."""
        return self.work(lambda mail: _names(mail))

    def contents(self, name="INBOX"):
        """Return (content, flags, date of arrival) of each message of a mailbox, in order."""
        return self.work(lambda mail: _contents(mail, name))

    def uidls(self):
        """Return what POP3 tells of INBOX."""
        return self.work(_uidls)


async def _names(mail):
    return [info.name for info in await mail.mailboxes()]


async def _contents(mail, name):
    box = mail.open((await mail.named(name)).id)
    snapshot = await box.snapshot()
    found = []
    for _, blob, prefix, flags, arrived in await box.rows(
        list(snapshot.uids), ("blob", "prefix", "flags", "internaldate")
    ):
        names = frozenset(snapshot.keywords.flag_names(flags))
        found.append((prefix + await box.read(blob), names, arrived // 1_000_000))
    return found


async def _uidls(mail):
    drop = await mail.maildrop((await mail.named("INBOX")).id, 60)
    try:
        return [message.uidl for message in drop.messages]
    finally:
        await drop.release()
