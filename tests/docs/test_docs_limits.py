"""The numbers of docs/limits.rst are those of the code, and what it says is not there is not offered."""

import dataclasses
import importlib
import re
from pathlib import Path

import annotated_types
import pytest

from mailnode.config.schema import Config
from mailnode.imap.capabilities import EXTENSIONS
from mailnode.smtp.wire.events import Helo
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection

PAGE = (Path(__file__).parents[2] / "docs/limits.rst").read_text()
UNITS = {
    "": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "second": 1,
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86_400,
}
ROWS = re.findall(r"^   \* - (?!what$)(.+)\n     - (.+)\n     - ``(.+)``$", PAGE, re.MULTILINE)


def number(text):
    match = re.fullmatch(r"([\d,.]+)(?: (\w+))?", text)
    return float(match[1].replace(",", "")) * UNITS[match[2] or ""]


def in_code(source):
    """A setting's default (``[section] key``), its upper bound (``... <=``), or a constant or field default."""
    setting = re.fullmatch(r"\[(\w+)\] (\w+)( <=)?", source)
    if setting is not None:
        field = type(Config.model_fields[setting[1]].default).model_fields[setting[2]]
        if setting[3] is None:
            return field.default
        return next(note.le for note in field.metadata if isinstance(note, annotated_types.Le))
    module, names = importlib.import_module("mailnode"), source.split(".")
    for at, name in enumerate(names):
        if isinstance(module, type):
            return next(field.default for field in dataclasses.fields(module) if field.name == name)
        module = _member(module, "mailnode." + ".".join(names[: at + 1]))
    return module


def _member(module, dotted):
    """What a package or a module has under the last name."""
    return (
        importlib.import_module(dotted) if hasattr(module, "__path__") else getattr(module, dotted.rpartition(".")[2])
    )


@pytest.mark.parametrize(("what", "bound", "source"), ROWS, ids=[row[2] for row in ROWS])
def test_the_number_is_the_code_s(what, bound, source):
    assert in_code(source) == number(bound), what


def test_every_row_is_looked_at():
    assert len(ROWS) == PAGE.count("   * - ") - PAGE.count("   * - what\n")


def not_there(protocol):
    paragraph = re.search(rf"\*\*{protocol} extensions that are not there:\*\* ([^.]+)\.", PAGE)
    return {name.strip() for name in paragraph[1].split(",")}


def test_imap_extensions_that_are_not_there():
    assert "URLAUTH" in not_there("IMAP")
    assert not not_there("IMAP") & set(EXTENSIONS)


def test_smtp_extensions_that_are_not_there():
    connection = ServerConnection(Profile(starttls=True, auth=True))
    connection.receive_data(b"EHLO client.test\r\n")
    assert isinstance(connection.next_event(), Helo)
    offered = {line.split()[0] for line in connection.hello_reply("mail.test").lines}
    assert "SIZE" in offered
    assert not not_there("SMTP") & offered
