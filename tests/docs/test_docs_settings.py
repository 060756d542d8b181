"""The pieces of configuration that the pages show are ones: each loads, put beside the least a server needs."""

import re
import tomllib
from pathlib import Path

import pytest

from mailnode.config.loader import read

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)\.\. code-block:: toml\n\n((?:\1   .*\n|\n)+)", re.MULTILINE)
BLOCKS = [
    (page.stem, re.sub(rf"^{found[0]}   ", "", found[1], flags=re.MULTILINE))
    for page in sorted((ROOT / "docs").glob("*.rst"))
    for found in BLOCK.findall(page.read_text())
]


@pytest.mark.parametrize(("page", "text"), BLOCKS)
def test_a_piece_of_configuration_loads(page: str, text: str, tmp_path: Path) -> None:
    for path in ("certificate.pem", "key.pem", "data"):
        (tmp_path / path).write_text("something\n")
    text = re.sub(r'= "(/etc/mailnode/\S+)"', f'= "{tmp_path}/key.pem"', text)
    least = {
        "server": {"hostname": "mail.example.org", "data": tmp_path},
        "listener": [{"protocol": "smtp", "endpoint": "tcp:25", "tls": "none"}],
    }
    read(least | tomllib.loads(text), tmp_path)


def test_there_are_pieces_on_several_pages() -> None:
    assert {"certificates", "smarthost", "webmail"} <= {page for page, _ in BLOCKS}
