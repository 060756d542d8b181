"""No end-to-end case that moves more than a buffer of a transport forgets a way to connect."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "end_to_end"
spec = importlib.util.spec_from_file_location("house_ways", FOLDER / "ways.py")
house_ways = importlib.util.module_from_spec(spec)
sys.modules["house_ways"] = house_ways
spec.loader.exec_module(house_ways)

# Modules with such cases: each case that goes over every way.
EVERY_WAY = {
    "test_e2e_compress": ["test_ten_megabytes_go_in_and_out", "test_who_stops_reading_is_waited_for_and_reads_on"],
    "test_e2e_descriptors": ["test_no_more_connections_than_leave_the_store_its_descriptors"],
    "test_e2e_ending": ["test_abandoned_searches_hold_nothing_and_what_was_acknowledged_is_there"],
    "test_e2e_faults": [
        "test_hostile_input_is_answered_in_bounded_memory",
        "test_who_does_not_wait_for_our_reply_is_turned_away",
        "test_who_does_not_wait_is_told_so_and_hears_of_the_end",
        "test_a_reset_between_the_end_of_data_and_the_reply",
        "test_fifty_kills_under_load_lose_nothing_acknowledged",
    ],
    "test_e2e_imap_sessions": [
        "test_a_reader_that_stops_costs_little_memory_and_nobody_else",
        "test_a_connection_lost_in_append_leaves_nothing",
        "test_nobody_waits_while_twenty_thousand_messages_are_listed",
    ],
    "test_e2e_imap_uploads": ["test_uploads"],
    "test_e2e_managesieve": ["test_a_megabyte_goes_in_and_out_to_who_stops_reading_too"],
    "test_e2e_moved_data": ["test_nothing_is_acknowledged_until_the_files_are_back"],
    "test_e2e_moving": ["test_a_mailbox_moves_in_with_folders_flags_and_dates"],
    "test_e2e_newer_facts": ["test_mail_of_an_older_version_is_read_as_if_it_came_today"],
    "test_e2e_quota": ["test_one_of_two_without_size_finds_the_account_full"],
    "test_e2e_searches": ["test_mail_and_other_sessions_are_not_behind_searches"],
    "test_e2e_reload": ["message_size"],
    "test_e2e_rev2": ["test_what_lies_in_a_large_message_global"],
    "test_e2e_shortage": [
        "test_a_full_disk",
        "test_a_full_disk_serves_reading_and_deleting_also_after_a_restart",
    ],
    "test_e2e_transports": [
        "test_a_message_goes_in_and_out",
        "test_a_client_that_stops_reading_holds_nobody_up_and_reads_on",
        "test_what_never_ends_is_taken_in_bounded_memory",
        "test_two_processes",
    ],
    "test_e2e_workers": ["test_a_large_message_and_many_recipients_through_a_further_worker"],
}
# How a case shows that it does: by the parameter, by a dial for each way, or by a helper that takes them in turn.
SIGNS = {"way", "dials", "WAYS", "small_disk"}


def names(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


def weight(node):
    """Return a number that is written, or how many octets a text is that is made of constants; of anything else 1."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return len(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return weight(node.left) * weight(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return weight(node.left) + weight(node.right)
    return 1


def moves_much(text):
    """Whether a module calls for large messages, or has a number or a text that is more than a buffer."""
    tree = ast.parse(text)
    return "large" in names(tree) or any(weight(node) > house_ways.BUFFER for node in ast.walk(tree))


def cases(module):
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("text", "much"),
    [
        ('send(large("x", size))', True),
        ('send(b"x" * 100_000)', True),
        ('send(b"x" * 1024 * 1024)', True),
        ('send(("x" * 70 + "\\r\\n") * 2000)', True),
        ('send(b"x" * 4096)', False),
    ],
)
def test_what_moves_much(text, much):
    assert moves_much(text) == much


def test_every_module_that_moves_much_is_listed():
    listed = set(EVERY_WAY) | {name.partition("::")[0] for name in house_ways.OTHER_WAYS}
    assert {path.stem for path in FOLDER.glob("test_*.py") if moves_much(path.read_text())} <= listed


@pytest.mark.parametrize("module", EVERY_WAY)
def test_a_listed_case_goes_over_every_way(module):
    found = cases(module)
    for case in EVERY_WAY[module]:
        node = found[case]
        assert ({argument.arg for argument in node.args.args} | names(node)) & SIGNS, case


@pytest.mark.parametrize("module", EVERY_WAY)
def test_every_case_that_calls_for_a_large_message_is_listed(module):
    others = [name.partition("::")[2] for name in house_ways.OTHER_WAYS if name.startswith(f"{module}::")]
    for case, node in cases(module).items():
        if case.startswith("test_") and "large" in {
            call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }:
            assert case in EVERY_WAY[module] + others


def test_every_exception_is_there_and_has_a_reason():
    for name, reason in house_ways.OTHER_WAYS.items():
        module, _, case = name.partition("::")
        assert case in cases(module)
        assert len(reason.split()) > 5
