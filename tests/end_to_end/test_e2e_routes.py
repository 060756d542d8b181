"""Routes between real servers: a fallback after a refusal, a proxy (microsocks) with a login, a source address, LMTP."""

import contextlib
import smtplib
import socket

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, PATIENCE, Dns, MailNode, Process, free_port, program
from test_e2e_relay import context, messages, submit, wait_for

NEAR, FAR, REFUSING, TUNNEL, NEWS, BUSY, DESK = (f"127.0.0.{number}" for number in range(32, 39))


class Roads:
    """``a.test`` and ``news.test`` send; ``far`` has all other domains, for which the own servers of ``c.test``
    and ``f.test`` take nothing, ever or now."""

    def __init__(self, folder):
        port, proxy_port = free_port(), free_port()
        self.dns = Dns(
            folder / "dns",
            [
                f"host-record=far.test,{FAR}",
                f"host-record=refusing.test,{REFUSING}",
                f"host-record=busy.test,{BUSY}",
                "mx-host=c.test,refusing.test,10",
                "mx-host=f.test,busy.test,10",
                "mx-host=d.test,far.test,10",
                "mx-host=e.test,far.test,10",
            ],
        )
        self.socket = folder / "lmtp"
        self.far = MailNode(
            folder / "far",
            ("c.test", "d.test", "e.test", "f.test", "lists.test"),
            address=FAR,
            smtp_port=port,
            extra=f'[[listener]]\nprotocol = "lmtp"\ntls = "none"\nendpoint = "unix:{self.socket}"\n',
        )
        (folder / "password").write_text("secret\n")
        (folder / "password").chmod(0o600)
        extra = (
            f"[queue]\nport = {port}\nretry = [30.0]\n"
            f'[[queue.route]]\nwhen_reply = "5.7.1 .*blocked"\nhost = "{FAR}"\nport = {port}\ntls = "none"\n'
            f'[[queue.route]]\nafter_attempts = 2\nhost = "{FAR}"\nport = {port}\ntls = "none"\n'
            '[[queue.route]]\nname = "tunnel"\ndomains = ["d.test"]\n'
            f'proxy = "127.0.0.1:{proxy_port}"\nproxy_username = "joe"\nproxy_password_file = "{folder / "password"}"\n'
            f'[[queue.route]]\nname = "news"\nsenders = ["news.test"]\nsource = ["{NEWS}"]\n'
            f'[[queue.route]]\nname = "desk"\naccounts = ["desk@a.test"]\nsource = ["{DESK}"]\n'
            f'[[queue.route]]\ndomains = ["lists.test"]\nprotocol = "lmtp"\nsocket = "{self.socket}"\n'
        )
        self.near = MailNode(folder / "near", ("a.test", "news.test"), address=NEAR, dns=self.dns, extra=extra)
        self.refusing = Scripted(REFUSING, port, {"MAIL": "550 5.7.1 your address is blocked here"})
        self.busy = Scripted(BUSY, port, {"RCPT": "451 4.3.0 not now"})
        command = [program("microsocks"), "-i", "127.0.0.1", "-p", str(proxy_port), "-b", TUNNEL]
        self.proxy = Process([*command, "-u", "joe", "-P", "secret"], cwd=folder)
        self.proxy_port = proxy_port

    def start(self):
        def listening():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.proxy_port), 5).close()
                return True
            return False

        wait_for(listening, "microsocks", PATIENCE)
        self.far.start()
        self.near.start()
        for user in ("alice@a.test", "alice@news.test", "desk@a.test"):
            self.near.add_account(user)
        self.near.ctl("grant", "add", "desk@a.test", "alice@a.test")
        for user in (
            *("carol@c.test", "dora@d.test", "eve@e.test", "frank@f.test", "all@lists.test"),
            *("frank@e.test", "grace@e.test"),
        ):
            self.far.add_account(user)
        return self

    def stop(self):
        for part in (self.near, self.far, self.refusing, self.busy, self.dns, self.proxy):
            part.stop()

    def send(self, sender, recipient, subject, login=""):
        """Send a message; return what the server there said of its arrival. :param login: of another account."""
        if login:
            with smtplib.SMTP_SSL(
                NEAR, self.near.ports["submissions"], context=context(self.near), timeout=30
            ) as client:
                client.login(login, PASSWORD)
                client.sendmail(sender, [recipient], f"From: {sender}\r\nSubject: {subject}\r\n\r\nhello\r\n")
        else:
            submit(self.near, sender, [recipient], subject)
        wait_for(lambda: messages(self.far, recipient, subject), "delivery")
        delivered = self.far.wait_event("message.delivered", recipient=recipient)
        return self.far.wait_event("message.accepted", envelope=delivered["envelope"])


@pytest.fixture(scope="module")
def roads(tmp_path_factory):
    made = Roads(tmp_path_factory.mktemp("roads"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_what_the_direct_way_refuses_goes_another_and_nobody_is_told(roads):
    roads.send("alice@a.test", "carol@c.test", "by the spare way")
    moved = roads.near.wait_event("queue.rerouted", recipient="carol@c.test")
    assert moved["before"] == "c.test" and moved["destination"].startswith(f"{FAR}:")
    assert "blocked" in roads.near.wait_event("queue.deferred", recipient="carol@c.test")["reply"]
    assert not roads.near.events("queue.bounced")


def test_what_the_direct_way_puts_off_twice_goes_another(roads):
    submit(roads.near, "alice@a.test", ["frank@f.test"], "at the second try")
    roads.near.wait_event("queue.deferred", recipient="frank@f.test")
    assert not [moved for moved in roads.near.events("queue.rerouted") if moved["recipient"] == "frank@f.test"]
    roads.near.ctl("queue", "retry", "--domain", "f.test")
    assert roads.near.wait_event("queue.rerouted", recipient="frank@f.test")["before"] == "f.test"
    wait_for(lambda: messages(roads.far, "frank@f.test", "at the second try"), "delivery")
    assert len([line for line in roads.busy.heard if line.startswith("RCPT")]) == 2


def test_through_a_proxy(roads):
    assert roads.send("alice@a.test", "dora@d.test", "through the tunnel")["peer"] == TUNNEL


def test_from_an_address_of_its_own(roads):
    assert roads.send("alice@news.test", "eve@e.test", "news")["peer"] == NEWS


def test_two_who_share_an_address_go_by_two_ways(roads):
    assert roads.send("alice@a.test", "frank@e.test", "by the desk", login="desk@a.test")["peer"] == DESK
    assert roads.send("alice@a.test", "grace@e.test", "by herself")["peer"] not in (DESK, NEWS)


def test_by_lmtp(roads):
    roads.send("alice@a.test", "all@lists.test", "to the list")
    (got,) = messages(roads.far, "all@lists.test", "to the list")
    assert b" with LMTP" in got
    assert roads.near.wait_event("queue.sent", recipient="all@lists.test")["host"] == "localhost"
