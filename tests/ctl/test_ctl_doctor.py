"""What mailnode doctor prints."""

from mailnode.ctl.doctor_words import diagnosis


def item(name, state, seen="as seen", mend="", explained=""):
    return {"name": name, "state": state, "seen": seen, "mend": mend, "explained": explained}


def test_what_failed_stands_first_with_its_fix_below():
    items = [
        item("a", "done"),
        item("b", "skipped", mend="ask elsewhere"),
        item("c", "to do", mend="one\ntwo"),
        item("e", "failed", mend="first"),
        item("d", "failed", mend="this", explained="It matters."),
    ]
    assert diagnosis({"ok": False, "items": items}).splitlines() == [
        "failed   d: as seen",
        "         -> this",
        "           It matters.",
        "failed   e: as seen",
        "         -> first",
        "to do    c: as seen",
        "         -> one",
        "            two",
        "skipped  b: as seen",
        "         -> ask elsewhere",
        "done     a: as seen",
        "",
        "2 failed, 1 to do, 1 skipped, 1 done",
    ]


def test_words_of_others_steer_no_terminal():
    told = diagnosis({"ok": False, "items": [item("a", "failed", "\x1b[31m", "\x07x")]})
    assert "\x1b" not in told and "\x07" not in told and "\\x1b[31m" in told
