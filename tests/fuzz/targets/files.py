"""Files that the server reads: the configuration, certificates and keys, where name servers are, backups, stored mail."""

from __future__ import annotations

import ipaddress
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailnode.admin.account_file import MAX_ALIASES, read_accounts
from mailnode.auth.foreign_hashes import FOREIGN, adopt_hash, read_foreign_hash
from mailnode.config.file import data_directory
from mailnode.config.loader import load
from mailnode.errors import BackupRefused, BlobDamaged, ConfigurationError
from mailnode.moving.model import SourceFailed
from mailnode.moving.tar_source import TarSource
from mailnode.moving.tar_target import FLAGS
from mailnode.net.client_certificate import ask_for_certificates, read_authorities
from mailnode.net.resolver import MAX_SERVERS, system_servers
from mailnode.net.tls import BrokenPair, CertificateStore, ListenerTls, Pair, check_pair, read_key_digest, read_pair
from mailnode.store.backups.directory import LIST, BackupDirectory, list_line
from mailnode.store.backups.manifest import DatabaseCopy, Manifest, decoded, encoded
from mailnode.store.blobs import codec
from mailnode.values.blob import BlobRef
from tests.fuzz.certificates import KEY_DER, authority, leaf, pem
from tests.fuzz.target import Target, each, variant

KEYS = (b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY")
CONTENT = b"From: a@x.test\r\n\r\n" + b"hello, hello\r\n" * 40


@contextmanager
def _files(**contents: bytes) -> Iterator[Path]:
    """A directory with these files."""
    with TemporaryDirectory() as name:
        for file, octets in contents.items():
            Path(name, file).write_bytes(octets)
        yield Path(name)


def configuration(data: bytes) -> None:
    """Read a configuration: it is good, or what is wrong with it is told."""
    with _files(toml=data) as folder:
        try:
            load(folder / "toml")
        except ConfigurationError as error:
            assert error.mistakes and all(error.mistakes)
        data_directory(folder / "toml")


def resolv_conf(data: bytes) -> None:
    """Read where name servers are: there are some in any case."""
    with _files(conf=data) as folder:
        found = system_servers(folder / "conf")
    assert 1 <= len(found) <= MAX_SERVERS
    for one in found:
        ipaddress.ip_address(one)


def pair(data: bytes) -> None:
    """Read a certificate and its key, as text or as what the text stands for; look at all that is told of them."""
    bits, text = variant(data)
    chain, _, key = text.partition(b"/key/")
    if not bits & 1:
        chain = b"".join(pem(b"CERTIFICATE", one) for one in chain.split(b"/and/"))
        key = pem(KEYS[bits >> 1 & 3], key)
    with _files(chain=chain, key=key) as folder:
        files = folder / "chain", folder / "key"
        mistakes = check_pair(*files)
        _authorities(files[0])
        try:
            found = read_pair(*files)
            read_key_digest(files[1])
        except BrokenPair:
            assert mistakes
            return
    assert not mistakes
    assert len(found.key_digest) == len(found.fingerprint) == 64
    assert found.not_after.tzinfo and isinstance(found.issuer, str)
    store = CertificateStore((), Clock())
    store.take([found])
    protocol = TLSMemoryBIOFactory(ListenerTls(store), False, Factory.forProtocol(Protocol), Clock()).buildProtocol(
        None
    )
    cast(Protocol, protocol).makeConnection(StringTransport())
    assert Pair.from_pem(*found.as_pem()).as_pem() == found.as_pem()


def _authorities(path: Path) -> None:
    try:
        ask_for_certificates(SSL.Context(SSL.TLS_METHOD), read_authorities(path))
    except ConfigurationError as error:
        assert error.mistakes


def foreign_hash(data: bytes) -> None:
    """Read another server's hash of a password; what is fast is also looked at."""
    text, _, password = data.partition(b"\n")
    try:
        found = read_foreign_hash(text.decode("latin-1"))
    except ValueError as error:
        assert str(error).isprintable() and len(str(error)) < 400
        return
    if found.scheme.startswith(("SHA1", "SHA256", "SHA512", "SSHA")) and not found.scheme.endswith("CRYPT"):
        assert found.fits(password) in (True, False)
    assert adopt_hash("A1", text.decode("latin-1"), 0.0)[0].kind == FOREIGN


def account_file(data: bytes) -> None:
    """Read a file of accounts: each line is an account or is said to be wrong."""
    found, wrong = read_accounts(data)
    for one in found:
        assert bool(one.password) != bool(one.hash) and one.line >= 2
        assert len(one.aliases) <= MAX_ALIASES and one.quota >= 0 and one.quota_messages >= 0
    for mistake in wrong:
        assert mistake.line >= 1 and str(mistake).startswith(f"line {mistake.line}: ")


def backup(data: bytes) -> None:
    """Read what a backup says of itself, and behind an empty line its list of files."""
    manifest, _, listed = data.partition(b"\n\n")
    with _files(**{LIST: listed}) as folder:
        for name, octets, digest in BackupDirectory(folder).listed(""):
            assert name.isalnum() and octets >= 0 and len(bytes.fromhex(digest)) == 32
    made = decoded(manifest)
    assert decoded(encoded(made)) == made
    assert all("/" not in one.name and "." not in one.name for one in made.databases)


def blob(data: bytes) -> None:
    """Read stored content that may be damaged, whole and in part: what is given out is what was written."""
    bits, stored = variant(data)
    ref = BlobRef("b", len(CONTENT), "file", "zstd", sha256(CONTENT).digest())

    def pread(size: int, offset: int) -> bytes:
        return stored[offset : offset + size]

    if bits & 1:
        assert codec.decode_small(ref, stored) == CONTENT
    else:
        assert codec.verified(ref, codec.read_range(ref, len(stored), pread, 0, ref.size)) == CONTENT
        assert codec.read_range(ref, len(stored), pread, bits, bits + 100) == CONTENT[bits : bits + 100]


def _stored() -> bytes:
    halves = CONTENT[:300], CONTENT[300:]
    packed = [codec.encode_frame(half) for half in halves]
    return b"".join(packed) + codec.seek_table(
        [(len(one), len(half)) for one, half in zip(packed, halves, strict=True)]
    )


BACKUP = encoded(
    Manifest(1.5, 4, (DatabaseCopy("mail-00", 4096, "ab" * 32, "1-2"),), 1, 10, "cd" * 32, ("b1",), ("page 3",))
)


def tar(data: bytes) -> None:
    """Read a tar with mail: what is told of messages lies within it."""
    with _files(tar=data) as folder:
        source = TarSource(folder / "tar")
        try:
            for found in source.folders():
                reader = source.open(found)
                messages = [one for page in reader.pages(0) for one in page]
                assert len(messages) == reader.count and all(0 <= one.size <= len(data) for one in messages)
        finally:
            source.close()


def _packed(form: int) -> bytes:
    into = BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=form) as packed:
        for name in ("INBOX/1.eml", "a" * 120 + "/2.eml"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(CONTENT), 1_676_171_045
            member.pax_headers = {FLAGS: "\\Seen work"}
            packed.addfile(member, BytesIO(CONTENT))
    return into.getvalue()[:-8192]


TARGETS = (
    Target(
        "foreign_hash",
        foreign_hash,
        (
            b"{SSHA512}" + b"A" * 88 + b"\nsecret",
            b"{SHA256.hex}" + b"00" * 32 + b"\nsecret",
            b"{BLF-CRYPT}$2y$05$HTZt3sTn2yH5LtSGpN03fuA1TM.AOEvv5pDYyyJGaV698ETlxQ4pG",
            b"{SHA512-CRYPT}$6$rounds=5000$salt$" + b"a" * 86,
            b"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$vE5hLPutQBAht+zklF7Vxw$BTlt9WmnRt6+15mEQP/rEqbBty20G3CeQ1ZKiij1WDk",
            b"{PBKDF2}$1$87YRA55EaU1RYhvM$5000$efdb87f7986d5cee448a71699b28505aef68b166",
            b"{SCRAM-SHA-1}4096,t2Gsq4MutSgko9ow0l9dKw==,t8eNENifc3gWSWNV15I9Q1x6bf8=,gxc//sfgvh0c8kxBJCNtUrKQSoY=",
            b"{CRYPT}$1$a$b",
        ),
        words=(
            b"{",
            b"}",
            b"$",
            b"rounds=999999999$",
            b"m=99999999,t=9,p=9",
            b",",
            b"====",
            b".hex",
            b"\xe4",
            b"\0",
            b"\n",
        ),
    ),
    Target(
        "account_file",
        account_file,
        (
            b"address,password,quota,aliases\na@b.test,secret,500M,c@b.test d@b.test\n",
            b'\xef\xbb\xbfhash;address\r\n"{SSHA}x";a@b.test\r\n',
            b'address,hash\n"a\nb",x\na@b.test\n',
            b"address,password\na@b.test,x\na@b.test,y\n",
            b"",
        ),
        words=(
            *each(b'"\n;\n,\naddress\npassword\nhash\nquota\naliases\na@b.test\n500M\n-1'),
            b"\n",
            b"\r",
            b"\0",
            b"\xff",
            b"9" * 30,
        ),
        held=1024 * 1024,
    ),
    Target(
        "configuration",
        configuration,
        (
            (Path(__file__).parents[3] / "etc" / "mailnode.toml").read_bytes()[:3900],
            b'[server]\nhostname = "x.test"\ndata = "d"\n[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25:interface=::1"\n',
            b'[queue]\nretry = ["5m", "1h"]\n[[queue.route]]\ndomains = ["x.test"]\nhost = "[::1]:25"\n[limits]\nsize = "50MB"\n',
            b'[auth.oauth]\nissuer = "https://x"\n[[policy]]\nname = "spf"\n[policy.options]\na = 1\n',
            b"x = " + b"[" * 2000,
        ),
        errors=(ConfigurationError,),
        words=each(
            b"""
[server]
[[listener]]
[[domain]]
[[queue.route]]
[queue.smarthost]
[tls]
[auth]
protocol = "http"
endpoint = "haproxy:tcp:25"
proxy_from = ["127.0.0.1/32"]
name = "x.test"
 = "1h"
 = 1e400
 = nan
 = -1
 = [
 = {
 = 1979-05-27T07:32:00Z
 = true
\"""
'''
\\u0000
\\U0010ffff
#
"""
        )
        + (b"\n", b"\0", b"\xff", b"\x7f"),
        held=1024 * 1024,
    ),
    Target(
        "resolv_conf",
        resolv_conf,
        (b"# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch x.test\noptions edns0\n",),
        words=(b"nameserver ", b"\n", b"::1", b"%", b"\0", b"\xff", b"\xe2\x80\xa8", b"1.2.3.4"),
    ),
    Target(
        "pair",
        pair,
        (
            b"\0" + leaf() + b"/key/" + KEY_DER,
            b"\0" + leaf() + b"/and/" + authority() + b"/key/" + KEY_DER,
            b"\1" + pem(b"CERTIFICATE", leaf()) + b"/key/" + pem(b"PRIVATE KEY", KEY_DER),
            b"\1-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n/key/",
            b"\0" + authority() + b"/key/" + KEY_DER,
        ),
        words=(
            b"/key/",
            b"/and/",
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x80",
            b"\x06\x03\x55\x1d\x11",
            b"\x06\x03\x55\x04\x03",
            b"\x0c\x01",
            b"\x17\x0d99",
            b"\xff",
            b"\0",
        ),
    ),
    Target(
        "backup",
        backup,
        (
            BACKUP + b"\n" + list_line("blob1", 10, "ef" * 32).encode(),
            BACKUP.replace(b"1.5", b"1e999"),
            b'{"format": 2}',
            b"[" * 3000,
        ),
        errors=(BackupRefused,),
        words=(
            *each(b'"\n{\n}\n[\n]\n:\n,\nnull\ntrue\n1e400\n-1\nNaN\n"databases"\n"name"\n"octets"\n"taken"\n"faults"'),
            b"\n",
            b"\xff",
            b"9" * 5000,
            b"../x",
        ),
    ),
    Target(
        "tar",
        tar,
        (_packed(tarfile.PAX_FORMAT), _packed(tarfile.GNU_FORMAT), b"\0" * 1024, b"12 path=a\n"),
        errors=(SourceFailed,),
        words=(
            b"ustar\00000",
            b"\0" * 512,
            b"00000000000\0",
            b"\x80",
            b"\xff",
            b"18 size=9999999999",
            b"x",
            b"L",
            b".eml",
            b"../",
        ),
    ),
    Target(
        "blob",
        blob,
        (b"\0" + _stored(), b"\44" + _stored(), b"\1" + codec.encode_frame(CONTENT)),
        errors=(BlobDamaged,),
        words=(b"\x28\xb5\x2f\xfd", b"\xff\xff\xff\xff", b"\xb1\xea\x92\x8f", b"\x5e\x2a\x4d\x18", b"\0\0\0\0"),
    ),
)
