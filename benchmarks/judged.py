"""What a row about judged mail needs beside the servers: the domain that mail is from, in DNS, and rspamd with the same checks."""

from __future__ import annotations

import contextlib
import subprocess
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchmarks.messages import Messages
from benchmarks.peers import listens
from benchmarks.smtp_load import SELECTOR
from tests.end_to_end.servers import Dns, free_port, program, wait_for
from tests.end_to_end.ways import HEADER
from tests.open_folder import open_folder
from tests.processes import start

CLIENT = HEADER.split()[2].decode()  # the address that mail comes from: of one on this machine nothing is asked
AUTHOR = "out@side.test"  # the reverse-path of the load
TAUGHT = 40  # messages of each kind that filters have learnt; below 20 they say nothing
WIDTH = 250  # octets of one string of a TXT record
OTHERS = (  # modules of rspamd, by name
    "antivirus asn aws_s3 bayes_expiry bimi chartable clickhouse clustering dcc dkim_signing dynamic_conf elastic emails "
    "external_relay external_services force_actions forged_recipients fuzzy_check fuzzy_collect greylist hfilter "
    "history_redis http_headers maillist maps_stats metadata_exporter metric_exporter mid mime_types multimap mx_check "
    "neural once_received p0f phishing ratelimit rbl redis regexp replies reputation rspamd_update settings spamassassin "
    "spamtrap surbl trie url_redirector whitelist"
)


class SignedDomain:
    """The domain of :data:`AUTHOR`: its key in a file, its records in DNS."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        key = rsa.generate_private_key(65537, 2048)
        self.key = folder / "key.pem"
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        record = f"v=DKIM1; k=rsa; p={public}"
        texts = ",".join(f'"{record[at : at + WIDTH]}"' for at in range(0, len(record), WIDTH))
        domain = AUTHOR.rpartition("@")[2]
        self.dns = Dns(
            folder,
            [
                f"txt-record={domain},v=spf1 ip4:{CLIENT} -all",
                f"txt-record=_dmarc.{domain},v=DMARC1; p=reject",
                f"txt-record={SELECTOR}._domainkey.{domain},{texts}",
                f"host-record=load.test,{CLIENT}",
                "local-ttl=3600",
            ],
        )

    def stop(self) -> None:
        """End the DNS server."""
        self.dns.stop()


class Rspamd:
    """Debian's rspamd as a milter, with SPF, DKIM, DMARC, ARC and its statistical filter, and nothing else."""

    def __init__(self, dns: Dns) -> None:
        self._opened = open_folder("rspamd")
        self._folder = Path(self._opened.name)
        self.port, self._controller = free_port(), free_port()
        self._configuration = self._folder / "rspamd.conf"
        self._configuration.write_text(
            self._text(dns.port) + "".join(f"{one} {{ enabled = false; }}\n" for one in OTHERS.split())
        )
        (self._folder / "tld").write_text("com\ntest\n")  # with all of them it takes half a minute to start
        subprocess.run(["chown", "-R", "nobody", str(self._folder)], check=True)
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Rspamd:
        """Start and wait until it listens."""
        command = [program("rspamd"), "-f", "-u", "nobody", "-g", "nogroup", "-c", str(self._configuration)]
        with (self._folder / "log").open("wb") as log:
            self._popen = start(command, stdout=log, stderr=subprocess.STDOUT)
        wait_for(lambda: all(listens("127.0.0.1", one) for one in (self.port, self._controller)), "rspamd", 60)
        self._teach()
        return self

    def _teach(self) -> None:
        """Teach its statistical filter both kinds, of words that stand in all of them."""
        messages = Messages(seed=2)
        for path in ("/learnspam", "/learnham"):
            for _ in range(TAUGHT):
                with contextlib.closing(HTTPConnection("127.0.0.1", self._controller, timeout=60)) as client:
                    client.request("POST", path, messages.message(4096))
                    answer = client.getresponse()
                    assert answer.status in (200, 208), answer.read()

    def stop(self) -> None:
        """End it."""
        if self._popen is not None:
            self._popen.terminate()
            self._popen.wait()
        self._opened.cleanup()

    def _text(self, dns: int) -> str:
        folder, shared = self._folder, "/usr/share/rspamd"
        return f"""lua = "{shared}/rules/rspamd.lua";
.include "/etc/rspamd/metrics.conf"
.include "/etc/rspamd/actions.conf"
.include "/etc/rspamd/groups.conf"
modules {{ path = "{shared}/plugins"; }}
options {{
  pidfile = "{folder}/pid"; control_socket = "{folder}/control mode=0600"; tempdir = "{folder}"; hs_cache_dir = "{folder}/";
  history_file = "{folder}/history"; cache_file = "{folder}/cache"; url_tld = "{folder}/tld";
  filters = "dkim"; local_addrs = []; disable_monitoring = true; check_local = true; check_authed = true;
  dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 1s; retransmits = 2; sockets = 4; }}
}}
logging {{ type = "console"; level = "warning"; }}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{self.port}"; milter = yes; timeout = 60s; count = 2;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
worker "controller" {{ bind_socket = "127.0.0.1:{self._controller}"; secure_ip = ["127.0.0.1"]; count = 1; }}
spf {{ spf_cache_size = 2k; check_local = true; check_authed = true; }}
dkim {{ dkim_cache_size = 2k; check_local = true; check_authed = true; }}
dmarc {{ check_local = true; check_authed = true; }}
arc {{ check_local = true; check_authed = true; sign_local = false; sign_inbound = false; sign_authenticated = false; }}
milter_headers {{ use = ["authentication-results"]; skip_local = false; }}
classifier "bayes" {{
  tokenizer {{ name = "osb"; }} backend = "sqlite3"; min_tokens = 11; min_learns = 20;
  cache {{ type = "sqlite3"; path = "{folder}/learnt.sqlite"; }}
  statfile {{ symbol = "BAYES_HAM"; spam = false; path = "{folder}/ham.sqlite"; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; path = "{folder}/spam.sqlite"; }}
}}
"""
