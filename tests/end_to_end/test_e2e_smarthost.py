"""Outgoing mail through one server that wants a login, over TLS, but for domains that a route sends elsewhere."""

import pytest
from servers import PASSWORD, Dns, MailNode
from test_e2e_relay import messages, submit, wait_for

NEAR, SMART = "127.0.0.2", "127.0.0.3"


@pytest.fixture
def servers(tmp_path):
    dns = Dns(tmp_path / "dns", [f"host-record=smart.test,{SMART}"])
    smart = MailNode(tmp_path / "smart", ("b.test", "c.test", "e.test"), address=SMART)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    extra = (
        f'[queue.smarthost]\nhost = "smart.test"\nport = {smart.ports["submission"]}\ntls = "required"\n'
        f'username = "bob@b.test"\npassword_file = "{tmp_path / "password"}"\n'
        f'[[queue.route]]\ndomains = ["e.test"]\nhost = "{SMART}"\nport = {smart.ports["smtp"]}\ntls = "none"\n'
    )
    near = MailNode(tmp_path / "near", ("b.test",), address=NEAR, dns=dns, extra=extra)
    try:
        smart.start()
        near.start()
        smart.add_account("bob@b.test")
        smart.add_account("carol@c.test")
        smart.add_account("erin@e.test")
        near.add_account("bob@b.test")
        yield near, smart
    finally:
        for server in (near, smart, dns):
            server.stop()


def test_mail_goes_through_it_with_a_login(servers):
    near, smart = servers
    submit(near, "bob@b.test", ["carol@c.test"], "through the smarthost")
    wait_for(lambda: messages(smart, "carol@c.test", "through the smarthost"), "delivery behind the smarthost")
    sent = near.wait_event("queue.sent", recipient="carol@c.test")
    assert "smart.test" in sent["host"] and "TLS" in sent["tls"]
    login = smart.wait_event("session.login", protocol="submission")
    assert login["account"] == smart.wait_event("message.accepted", sender="bob@b.test")["account"]


def test_a_route_goes_before_it(servers):
    near, smart = servers
    submit(near, "bob@b.test", ["erin@e.test"], "by the route")
    wait_for(lambda: messages(smart, "erin@e.test", "by the route"), "delivery by the route")
    sent = near.wait_event("queue.sent", recipient="erin@e.test")
    assert SMART in sent["host"] and not sent.get("tls")
