"""The benchmark's arithmetic and its messages."""

import email
import email.policy
import zlib
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import ROWS
from benchmarks.mailboxes import content
from benchmarks.messages import Messages
from benchmarks.report import Measurement, as_json, number, plot, table
from tests.end_to_end.ways import WAYS


def test_more_a_second_is_better():
    row = Measurement("a", "msg/s", "Peer", bar=2, ours=[100, 90, 110], theirs=[50, 30, 110])
    assert row.ratios == [2, 3, 1]
    assert row.verdict == "met"


def test_less_time_is_better():
    row = Measurement("a", "ms", "Peer", bar=1, ours=[10, 20, 40], theirs=[5, 5, 80])
    assert row.ratios == [0.5, 0.25, 2]
    assert row.verdict == "missed"


def test_a_ceiling_needs_no_peer():
    assert Measurement("a", "MiB", ceiling=100, ours=[90, 100, 200]).verdict == "met"
    assert Measurement("a", "MiB", ceiling=100, ours=[101]).verdict == "missed"
    assert Measurement("a", "MiB", ours=[101]).verdict == ""


def test_rounds_that_have_no_pair_are_a_mistake():
    with pytest.raises(ValueError, match="shorter"):
        _ = Measurement("a", "ms", "Peer", ours=[1, 2], theirs=[1]).ratios


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.5, "1.5"), (12.34, "12.3"), (99.4, "99.4"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_table_and_plot_show_every_row():
    rows = [
        Measurement("fast", "msg/s", "Peer", bar=2, ours=[100.0], theirs=[25.0], notes={"syncs": 1}),
        Measurement("slow <&>", "ms", "Peer", bar=1, ours=[100.0], theirs=[25.0]),
        Measurement("alone", "MiB", ceiling=10, ours=[3.0]),
    ]
    lines = table(rows).splitlines()
    assert len(lines) == 5
    assert "4.00 (4.00-4.00)" in lines[2]
    assert "met" in lines[2]
    assert "syncs=1" in lines[2]
    assert "0.25 (0.25-0.25)" in lines[3]
    assert "<= 10" in lines[4]
    texts = [element.text for element in ElementTree.fromstring(plot(rows)).iter() if element.tag.endswith("text")]
    assert "slow <&>" in texts
    assert "4.00" in texts
    assert "alone" not in texts
    assert as_json(rows, {"cores": 2})["rows"][1]["ratios"] == [0.25]


def test_messages_can_be_had_again_and_differ_from_each_other():
    first, second = ([message for message, _ in zip(_supply(), range(50), strict=False)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 50


def _supply():
    source = Messages(3)
    while True:
        yield source.message(4096)


@pytest.mark.parametrize("size", [3000, 4096, 65_536, 1_048_576])
def test_messages_have_about_the_size_compress_to_about_half_and_can_be_sent(size):
    source = Messages(1)
    for message in [source.message(size) for _ in range(4)]:
        assert 0.8 * size < len(message) < 1.2 * size
        assert 0.3 < len(zlib.compress(message)) / len(message) < 0.75
        assert message.count(b"\r\n") == message.count(b"\n") == message.count(b"\r")
        assert max(map(len, message.split(b"\r\n"))) <= 998
        parsed = email.message_from_bytes(message, policy=email.policy.default)
        assert not parsed.defects
        assert parsed["Message-ID"]


def test_some_have_attachments():
    parsed = [email.message_from_bytes(message, policy=email.policy.default) for message in content(40)]
    assert 5 < sum(message.is_multipart() for message in parsed) < 35


def test_rows_have_names_of_their_own():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_only_large_rows_have_ways_and_no_bar_in_them():
    for row in ROWS:
        over = row.over([*WAYS])
        assert len(over) == (len(WAYS) if row.large else 1)
        assert row.over([]) == [row]
        assert not row.large or all(each.bar is None and each.ceiling is None for each in over)
