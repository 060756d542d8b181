"""New passwords that are too weak, and those that are not."""

from importlib.resources import files

import pytest

from mailnode.auth.strength import weakness

ADDRESS = "alice.smith@mail-works.example.org"


def why(password, address=ADDRESS, min_length=10, refuse_common=True):
    return weakness(password, address, min_length, refuse_common)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "5 characters, and at least 10"),
        ("ninechars", "9 characters"),
        ("\u00e4" * 9, "9 characters"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("ababababababab", "different characters"),
        ("1234567890", "a run"),
        ("12345678901234", "a run"),
        ("9876543210", "a run"),
        ("abcdefghijklm", "a run"),
        ("qwertyuiop", "commonest"),
        ("QwertyUIOP", "commonest"),
        ("password1234", "commonest"),
        ("Password2024!!", "commonest"),
        ("123!Sommer2026", "commonest"),
        ("p@ssw0rd2024!", "commonest"),
        ("correcthorsebatterystaple", "commonest"),
        ("alice.smith1", "own name"),
        ("Alice_Smith!", "own name"),
        ("smithalice2026", "own name"),
        ("mail-works.example.org", "own name"),
        ("alice@mail-works", "own name"),
        ("example-123", "own name"),
    ],
)
def test_weak_passwords_are_refused_in_words(password, words):
    assert words in why(password)
    assert password not in why(password)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "vT4#kq9!zPw2",
        "alice likes green tea",
        "mail me some bananas",
        "\u043f\u0430\u0440\u043e\u043b\u044c \u0434\u043b\u044f \u043f\u043e\u0447\u0442\u044b",
        "9f86d081884c7d65",
    ],
)
def test_others_are_taken(password):
    assert why(password) == ""


def test_both_rules_are_settings():
    assert why("tiger-", min_length=6, refuse_common=False) == "" and why("tiger-", min_length=7, refuse_common=False)
    assert "commonest" in why("tiger-", min_length=6)
    assert why("password1234", refuse_common=False) == ""
    assert why("pass", refuse_common=False)


@pytest.mark.parametrize("refuse_common", [True, False])
def test_what_programs_cannot_send_is_no_password(refuse_common):
    for sign in "\0\t\n\x1b\x7f\x85":
        assert "control character" in why(f"correct horse{sign} battery", refuse_common=refuse_common)
    assert "not UTF-8" in why("caf\udce9 with a battery", refuse_common=refuse_common)


def test_characters_are_counted_as_they_are_hashed():
    assert "9 characters" in why("a\u0308" * 9)  # composed
    assert "0 characters" in why("\u00ad" * 12)  # nothing is left of soft hyphens


def test_the_list_is_what_it_says():
    words = files("mailnode.auth").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    assert words == sorted(set(words)) and all(word == word.casefold().strip() for word in words)
    assert len(words) > 300 and sum(len(word) >= 10 for word in words) > 100
