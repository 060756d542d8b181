"""Debian's Roundcube by the recipe of docs/webmail.rst, served by PHP itself."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.request
from pathlib import Path

import pytest
from servers import ROOT, STRICT, MailNode, Process, free_port, program, wait_for

_SITE = Path("/var/lib/roundcube/public_html")
_SETTINGS = Path("/etc/roundcube")
_PAGE = (ROOT / "docs/webmail.rst").read_text()


def _block(language: str) -> str:
    """Return all code of a language on the page."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", _PAGE, re.MULTILINE)
    assert found
    return "\n".join(re.sub(r"^   ", "", text, flags=re.MULTILINE) for text in found)


class Roundcube:
    """One that is set up for a server."""

    def __init__(self, folder: Path, node: MailNode, port: int | None = None) -> None:
        """:param port: where IMAP is spoken over implicit TLS with the node's certificate; None: by the node itself."""
        php = program("php")
        if not _SITE.is_dir():
            (pytest.fail if STRICT else pytest.skip)("roundcube-core is not installed")
        for name in ("config", "temp", "logs"):
            (folder / name).mkdir(parents=True)
        for name in ("defaults.inc.php", "mimetypes.php"):
            (folder / "config" / name).symlink_to(_SETTINGS / name)
        recipe = (
            _block("php")
            .replace("mail.example.org:993", f"localhost:{port or node.ports['imaps']}")
            .replace("mail.example.org:465", f"localhost:{node.ports['submissions']}")
            .replace("example.org", "a.test")
            .replace("/etc/ssl/certs/mail-ca.pem", str(node.ca))
        )
        # What the package's installation has set up elsewhere.
        ours = {
            "db_dsnw": f"sqlite:///{folder}/roundcube.db?mode=0600",
            "des_key": "twenty-four octets long.",
            "temp_dir": str(folder / "temp"),
            "log_dir": str(folder / "logs"),
        }
        lines = "".join(f"$config['{key}'] = '{value}';\n" for key, value in ours.items())
        (folder / "config" / "config.inc.php").write_text(f"<?php\n$config = [];\n{recipe}\n{lines}")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process = Process(
            [php, "-S", f"127.0.0.1:{self.port}", "-t", str(_SITE)],
            cwd=folder,
            env=dict(os.environ, ROUNDCUBE_CONFIG_DIR=str(folder / "config")),
        )
        try:
            wait_for(self._answers, "Roundcube", 60)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.url, timeout=60) as answer:
            return b"Roundcube" in answer.read()
        return False

    def stop(self) -> None:
        """End it."""
        self._process.stop()
