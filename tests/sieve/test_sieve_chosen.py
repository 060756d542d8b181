"""Scripts that people write, and some that nobody should, beside Debian's dovecot-sieve: one a line of chosen_scripts.txt."""

import tempfile
from pathlib import Path

import pytest

from tests.sieve.differential import differences, ours
from tests.sieve.oracle import PROGRAM, Oracle
from tests.sieve.support import STRICT

pytestmark = pytest.mark.skipif(PROGRAM is None and not STRICT, reason="no sieve-test (dovecot-sieve)")
EXTENSIONS = """fileinto mime foreverypart extracttext variables regex reject vacation vacation-seconds enotify relational
comparator-i;ascii-numeric copy imap4flags mailbox special-use duplicate vnd.dovecot.environment environment include editheader
ihave encoded-character body date subaddress envelope"""
REQUIRE = "require [" + ", ".join(f'"{name}"' for name in EXTENSIONS.split()) + "];\n"
SCRIPTS = (Path(__file__).parent / "chosen_scripts.txt").read_text(encoding="utf-8").splitlines()
MESSAGE = b"""From: Bob <bob@example.com>
To: me+detail@example.com
Subject: Hello World 42
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b1"

pre
--b1
Content-Type: text/plain; charset=utf-8; format=flowed

Hello part one
--b1
Content-Type: application/pdf; name="x y.pdf"
Content-Disposition: attachment; filename="x y.pdf"
Content-Transfer-Encoding: base64

AAECAw==
--b1
Content-Type: message/rfc822

Subject: inner World
From: inner@example.net

inner body plan
--b1--
epilogue
""".replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def oracle():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Oracle(folder)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_is_to_be_done(oracle, script):
    source = (REQUIRE + script).encode()
    mine, theirs = ours(source, MESSAGE), oracle.run(source, MESSAGE)
    assert differences(mine, theirs) == ([], []), (mine, theirs)
