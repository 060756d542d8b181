"""Thunderbird without a screen, with one account, told what to do by Marionette."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from beside import Mailbox
from marionette import Marionette
from servers import PASSWORD, MailNode, Process, free_port, program, wait_for

# Nothing is asked, nothing is fetched from elsewhere, and nothing is done before the password is there.
_QUIET = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
_ACCOUNT = {
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "localhost",
    "mail.server.server1.socketType": 3,  # implicit TLS
    "mail.server.server1.authMethod": 3,  # the password
    "mail.server.server1.login_at_startup": False,
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "mail.identity.id1.valid": True,
}
# What every script has: the account's server, a mailbox by its path, messages by their subjects, and what to wait with.
_COMMON = """
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.accounts[0]?.incomingServer;
const mailbox = (name) => server.rootFolder.descendants.find((one) => one.name == name)
  ?.QueryInterface(Ci.nsIMsgImapMailFolder);
const headers = (name) => [...mailbox(name).messages];
const message = (name, subject) => headers(name).find((one) => one.mime2DecodedSubject == subject);
const finished = (begin) => new Promise((done, fail) => begin({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {},
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) { status ? fail(Error("status " + status)) : done(); },
  onStopCopy(status) { status ? fail(Error("status " + status)) : done(); },
}));
"""


class Thunderbird:
    """One profile; started and stopped as often as a test likes."""

    def __init__(
        self, folder: Path, node: MailNode, port: int | None, user: str, more: dict[str, Any] | None = None
    ) -> None:
        """:param port: where IMAP is spoken over implicit TLS, with the node's certificate; None: no account is set up.
        :param more: preferences."""
        self._program = program("thunderbird")
        self._folder, self._node, self._user = folder, node, user
        self._profile = folder / "profile"
        self._profile.mkdir(parents=True)
        self._control = free_port()
        preferences = {
            **_QUIET,
            **(more or {}),
            "marionette.port": self._control,
        }
        if port is not None:
            preferences |= {
                **_ACCOUNT,
                "mail.server.server1.port": port,
                "mail.server.server1.userName": user,
                "mail.identity.id1.useremail": user,
            }
        (self._profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        )
        self._process: Process | None = None
        self._marionette: Marionette | None = None

    def start(self) -> Thunderbird:
        """Start it, and let it know password and authority, which it has from the second time on."""
        self._process = Process(
            [self._program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
            + ["--profile", str(self._profile)],
            cwd=self._folder,
            env={**os.environ, "HOME": str(self._folder)},
        )
        self._marionette = wait_for(self._reached, "Thunderbird")
        authority = "".join(self._node.ca.read_text().split("-----")[2].split())
        self.run(
            """
            Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(args[0], "C,,");
            const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
            login.init("imap://localhost", null, "imap://localhost", args[1], args[2], "", "");
            if (!(await Services.logins.searchLoginsAsync({origin: "imap://localhost"})).length)
              await Services.logins.addLoginAsync(login);
            """,
            authority,
            self._user,
            PASSWORD,
        )
        return self

    def _reached(self) -> Marionette | None:
        with contextlib.suppress(OSError):
            return Marionette(self._control)
        return None

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function of ``args``, with what ``_COMMON`` has; return what it returns."""
        return self._marionette.run(_COMMON + script, *arguments)

    def open(self, mailbox: str = "INBOX") -> None:
        """Look into a mailbox, as when somebody clicks on it, and wait until it has."""
        how = (
            "getNewMessages" if mailbox == "INBOX" else "updateFolderWithListener"
        )  # the first finds all mailboxes, too
        self.run(f"await finished((end) => mailbox(args[0]).{how}(null, end));", mailbox)

    def uses(self) -> dict[str, str]:
        """Return what it takes mailboxes for: their names by Thunderbird's words for their special uses."""
        return dict(
            self.run(
                """return ["Archive", "Drafts", "Inbox", "Junk", "SentMail", "Trash"].map((use) =>
                [use, server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[use])?.name || ""]);"""
            )
        )

    def expect(self, what: Mailbox, mailbox: str = "INBOX") -> None:
        """Wait until it shows these messages and flags in a mailbox, and no others. It is not told to look."""

        def as_expected() -> bool:
            self.seen = self.mailbox(mailbox)
            return self.seen == what

        try:
            wait_for(as_expected, mailbox)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.seen}, not {what}") from None

    def mailbox(self, name: str) -> Mailbox:
        """Return what it knows of a mailbox without asking the server: subjects with flags."""
        found = self.run(
            """return headers(args[0]).map((one) => [one.mime2DecodedSubject, [one.isRead ? "\\\\Seen" : "",
            one.isFlagged ? "\\\\Flagged" : "", one.getStringProperty("keywords")].filter(Boolean)]);""",
            name,
        )
        return {subject: set(flags) for subject, flags in found}

    def mark(self, subject: str, how: str) -> None:
        """:param how: JavaScript that does something with the ``inbox`` and ``one``, a list of the message."""
        self.run(f'const inbox = mailbox("INBOX"), one = [message("INBOX", args[0])]; {how};', subject)

    def move(self, subject: str, to: str) -> None:
        """Move a message from the INBOX."""
        self.run(
            """await finished((end) => MailServices.copy.copyMessages(
              mailbox("INBOX"), [message("INBOX", args[0])], mailbox(args[1]), true, end, null, false));""",
            subject,
            to,
        )

    def delete(self, subject: str) -> None:
        """Delete a message of the INBOX by the key for that, which moves it to the trash."""
        self.run(
            """await finished((end) =>
              mailbox("INBOX").deleteMessages([message("INBOX", args[0])], null, false, false, end, false));""",
            subject,
        )

    def offline(self) -> None:
        """Work offline from now on."""
        self.run("Services.io.offline = true;")

    def online(self) -> None:
        """Go online, and do there what was done meanwhile."""
        self.run(
            """Services.io.offline = false;
            Cc["@mozilla.org/messenger/offline-manager;1"].getService(Ci.nsIMsgOfflineManager)
              .goOnline(false, true, Services.wm.getMostRecentWindow("mail:3pane").msgWindow);"""
        )

    def stop(self) -> None:
        """Let it end as by its menu, so that it writes what it knows."""
        if self._marionette is not None:
            self._marionette.ask("Marionette:Quit", flags=["eAttemptQuit"])
            self._marionette.close()
            self._marionette = None
        if self._process is not None:
            self._process.popen.wait(60)
            self._process.stop()
            self._process = None
