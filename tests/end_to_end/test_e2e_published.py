"""What is printed to be published is right once DNS has it, each record that is not is told with its fix, and the MTA-STS policy is
served: a real server, a real DNS server."""

import http.client
import json
import socket
import ssl
from hashlib import sha256
from types import SimpleNamespace

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from servers import Dns, MailNode, free_port

from mailnode.admin.control_client import ask

D, HOST = "a.test", "mx.a.test"
FOUR, SIX = "192.0.2.1", "2001:db8::1"
RDNS4 = "1.2.0.192.in-addr.arpa"


class Published(MailNode):
    """A server that others reach, as far as its configuration says, with a policy host."""

    LISTENERS = (*MailNode.LISTENERS, ("https", "http", "implicit"))

    def _configuration(self, domains, dns, extra):
        text = super()._configuration(domains, dns, extra)
        text = text.replace("[server]\n", f'[server]\naddresses = ["{FOUR}", "{SIX}"]\n')
        for name in ("submissions", "imaps"):
            place = f"tcp:{self.ports[name]}"
            text = text.replace(f"{place}:interface={self.address}", place)
        https = f'tcp:{self.ports["https"]}:interface={self.address}"\n'
        return text.replace(https, f'{https}pages = ["mta-sts"]\n')


def line(record):
    """Return the option of dnsmasq for a record."""
    name, kind, value = record["name"], record["type"], record["value"]
    if kind == "TXT":
        pieces = [value[at : at + 255] for at in range(0, len(value), 255)]
        return f"txt-record={name}," + ",".join(f'"{piece}"' for piece in pieces)
    if kind == "MX":
        preference, host = value.split()
        return f"mx-host={name},{host},{preference}"
    if kind == "SRV":
        priority, weight, port, host = value.split()
        return f"srv-host={name}" + ("" if host == "." else f",{host},{port},{priority},{weight}")
    if kind == "TLSA":
        usage, selector, matching, digest = value.split()
        return f"dns-rr={name},52,{int(usage):02x}{int(selector):02x}{int(matching):02x}{digest}"
    return f"{'cname' if kind == 'CNAME' else 'host-record'}={name},{value}"  # dnsmasq makes the PTR of the latter


class PublishedWorld:
    """The server, and a DNS server that is started anew with other records."""

    def __init__(self, folder):
        self.folder = folder
        port = free_port()
        self.dns = None
        self.dns_port = port
        self.authority = trustme.CA()
        pair = self.authority.issue_cert(f"mta-sts.{D}")
        pair.private_key_pem.write_to_path(str(folder / "sts-key.pem"))
        pair.cert_chain_pems[0].write_to_path(str(folder / "sts-cert.pem"))
        name = f'[[tls.name]]\ncertificate = "{folder / "sts-cert.pem"}"\nkey = "{folder / "sts-key.pem"}"\n'
        self.node = Published(folder / "node", (D,), dns=SimpleNamespace(port=port), extra=name)

    def serve(self, lines):
        self.stop_dns()
        zones = ["local=/2.0.192.in-addr.arpa/", "local=/8.b.d.0.1.0.0.2.ip6.arpa/"]
        self.dns = Dns(self.folder / "dns", [*zones, *lines], self.dns_port)

    def check(self):
        """Return whether all is right, and (verdict, advice) of what is not, by name and type."""
        result = ask(self.node.data, "domain.check", {"name": D})
        others = [one for one in result["records"] if one["verdict"] != "right"]
        return result["ok"], {(one["name"], one["type"]): (one["verdict"], one["advice"]) for one in others}

    def stop_dns(self):
        if self.dns is not None:
            self.dns.stop()
            self.dns = None

    def stop(self):
        self.stop_dns()
        self.node.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = PublishedWorld(tmp_path_factory.mktemp("published"))
    try:
        made.node.start()
        made.records = json.loads(made.node.ctl("domain", "records", D, "--json").stdout)["records"]
        yield made
    finally:
        made.stop()


TLSA = (f"_25._tcp.{HOST}", "TLSA")  # a hint: dnsmasq signs nothing


def test_what_was_printed_is_all_right(world):
    assert {one["type"] for one in world.records} == {"MX", "A", "AAAA", "TXT", "CNAME", "TLSA", "SRV"}
    assert sum("._domainkey." in one["name"] for one in world.records) == 2
    world.serve(map(line, world.records))
    ok, others = world.check()
    assert ok and set(others) == {TLSA} and others[TLSA][0] == "hint"
    done = world.node.ctl("domain", "check", D)
    assert done.returncode == 0 and "\nall right; hints: 1" in done.stdout and not done.stderr


def test_each_record_that_is_missing_is_named_with_its_fix(world):
    assert len(world.records) > 15
    for missing in world.records:
        world.serve([line(one) for one in world.records if one is not missing])
        ok, others = world.check()
        key = missing["name"], missing["type"]
        verdict, advice = others.pop(key)
        harmless = missing["type"] == "TLSA" or missing["value"].endswith(" .")
        assert (ok, verdict) == ((True, "hint") if harmless else (False, "missing")), key
        assert advice, key
        others.pop(TLSA, None)
        assert {kind for _, kind in others} <= ({"PTR"} if missing["type"] in ("A", "AAAA") else set()), key


def test_the_key_of_the_next_certificate_has_a_record_too(world):
    key = world.folder / "sts-key.pem"
    told = json.loads(world.node.ctl("domain", "records", D, "--json", "--next-key", str(key)).stdout)["records"]
    (more,) = [one for one in told if one not in world.records]
    public = load_pem_private_key(key.read_bytes(), None).public_key()
    digest = sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    assert (more["name"], more["type"], more["value"]) == (*TLSA, f"3 1 1 {digest}")
    done = world.node.ctl("domain", "records", D, "--next-key", str(world.folder / "none.pem"), check=False)
    assert done.returncode == 1 and "none.pem: cannot be read" in done.stderr and "Traceback" not in done.stderr


OTHER = [
    (D, "MX", "10 mx.elsewhere.test", "Mail goes to mx.elsewhere.test"),
    (HOST, "A", "192.0.2.9", "Publish 192.0.2.1"),
    (D, "TXT", "v=spf1 ip4:198.51.100.1 -all", "add mx"),
    (HOST, "TXT", "v=spf1 -all", "add a"),
    (f"_dmarc.{D}", "TXT", "v=DMARC1; p=reject or so", "p= must be"),
    (f"_mta-sts.{D}", "TXT", "v=STSv1; id=20200101;", "publish the new id"),
    (f"_smtp._tls.{D}", "TXT", "v=TLSRPTv1", "rua= is missing"),
    (*TLSA, "3 1 1 " + "00" * 32, "send nothing here"),
    (f"_imaps._tcp.{D}", "SRV", "0 1 143 mx.a.test", "Publish 0 1 "),
    (f"_pop3._tcp.{D}", "SRV", "0 1 110 mx.a.test", "not offered here"),
]


def test_a_key_that_is_not_copied_as_a_whole_is_named(world):
    keys = [one for one in world.records if "._domainkey." in one["name"]]
    cut = [one | {"value": one["value"][:-20]} if one in keys else one for one in world.records]
    world.serve(map(line, cut))
    ok, others = world.check()
    assert not ok and set(others) == {TLSA, *((one["name"], "TXT") for one in keys)}
    assert all("copy it again" in others[one["name"], "TXT"][1] for one in keys)


@pytest.mark.parametrize(("name", "kind", "value", "words"), OTHER)
def test_each_record_that_differs_is_named_with_its_fix(world, name, kind, value, words):
    changed = [one | {"value": value} if (one["name"], one["type"]) == (name, kind) else one for one in world.records]
    world.serve(map(line, changed))
    ok, others = world.check()
    assert not ok and others[name, kind][0] == "differs" and words in others[name, kind][1]
    done = world.node.ctl("domain", "check", D, check=False)
    wanted = next(one["value"] for one in world.records if (one["name"], one["type"]) == (name, kind))
    assert done.returncode == 1 and f"wanted: {wanted}\n" in done.stdout
    assert f"found:  {value}" in done.stdout and words in done.stdout


def test_several_spf_records_and_no_name_of_the_address(world):
    more = [{"name": D, "type": "TXT", "value": "v=spf1 include:a.example -all"}]
    lines = [line(one) for one in world.records + more if one["name"] != HOST or one["type"] not in ("A", "AAAA")]
    world.serve([*lines, f"address=/{HOST}/{FOUR}", f"address=/{HOST}/{SIX}"])  # of which dnsmasq makes no PTR
    ok, others = world.check()
    assert not ok and others[D, "TXT"][0] == "differs" and "several" in others[D, "TXT"][1]
    assert others[RDNS4, "PTR"][0] == "missing" and "gave you the address" in others[RDNS4, "PTR"][1]


def test_no_answer_is_told_as_that(world):
    world.stop_dns()
    ok, others = world.check()
    assert not ok and {verdict for verdict, _ in others.values()} == {"failed"}
    assert all("try again" in advice for _, advice in others.values())


def test_the_policy_is_fetched_from_its_host(world):
    context = ssl.create_default_context()
    world.authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])  # as browsers and most programs that fetch policies do
    client = http.client.HTTPSConnection(f"mta-sts.{D}", context=context, timeout=30)
    raw = socket.create_connection((world.node.address, world.node.ports["https"]))
    client.sock = context.wrap_socket(raw, server_hostname=f"mta-sts.{D}")
    client.request("GET", "/.well-known/mta-sts.txt")
    answer = client.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/plain")
    assert answer.read() == b"version: STSv1\r\nmode: testing\r\nmx: mx.a.test\r\nmax_age: 604800\r\n"
    client.close()


def test_it_is_compared_where_no_server_runs(world):
    world.serve(map(line, world.records))
    world.node.stop()
    try:
        result = json.loads(world.node.ctl("domain", "check", D, "--json").stdout)
        assert result["ok"] and result["domain"] == D
        assert json.loads(world.node.ctl("domain", "records", D, "--json").stdout)["records"] == world.records
        assert world.node.ctl("domain", "check", "nowhere.test", check=False).returncode == 3
    finally:
        world.node.start()
