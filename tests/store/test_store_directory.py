"""The directory's contract, on every engine."""

from __future__ import annotations

import pytest

from mailnode.errors import (
    AlreadyExists,
    BadAddress,
    InUse,
    LimitReached,
    NoSuchAccount,
    NoSuchDomain,
    StoreUnavailable,
)
from mailnode.store.facades.directory import Directory
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Alias, Credential, ForwardingKey, Grant, LoginRecord, Resolved, Sharer
from mailnode.values.dkim import DkimKey


@pytest.fixture
def directory(engine):
    return Directory(engine)


@pytest.fixture
def town(directory, loop):
    """Two accounts in one domain, an alias domain beside it."""
    loop.run(directory.add_domain("Example.org"))
    loop.run(directory.add_domain("example.net", alias_of="example.ORG"))
    loop.run(directory.add_account("A1", parse_address("Alice@Example.org"), 100.5))
    loop.run(directory.add_account("B1", parse_address("bob@example.org"), 101.0))
    return directory


def resolve(directory, loop, text):
    return loop.run(directory.resolve(parse_address(text) if "@" in text else Address(text, "")))


def unknown(directory, loop, text):
    return resolve(directory, loop, text) == Resolved(False)


# domains


def test_a_domain_is_kept_as_written_and_found_by_its_key(directory, loop):
    made = loop.run(directory.add_domain("Bücher.Example"))
    assert (made.name, made.written, made.separator) == ("xn--bcher-kva.example", "Bücher.Example", "+")
    assert loop.run(directory.domains()) == [made]
    assert loop.run(directory.is_local("BÜCHER.example"))
    assert loop.run(directory.is_local("xn--bcher-kva.EXAMPLE"))
    assert not loop.run(directory.is_local("bucher.example"))
    assert not loop.run(directory.is_local("not a domain"))
    with pytest.raises(AlreadyExists):
        loop.run(directory.add_domain("xn--bcher-kva.example"))


@pytest.mark.parametrize("name", ["", "a b", "[127.0.0.1]", "a..b", "192.0.2.1"])
def test_what_is_not_a_domain_is_refused(directory, loop, name):
    with pytest.raises(BadAddress):
        loop.run(directory.add_domain(name))


def test_an_alias_of_nothing_is_refused(directory, loop):
    with pytest.raises(NoSuchDomain):
        loop.run(directory.add_domain("a.example", alias_of="b.example"))


def test_a_domain_in_use_stays(town, loop):
    with pytest.raises(InUse):
        loop.run(town.remove_domain("example.org"))
    loop.run(town.remove_account("A1"))
    loop.run(town.remove_account("B1"))
    with pytest.raises(InUse):  # example.net stands for it
        loop.run(town.remove_domain("example.org"))
    loop.run(town.remove_domain("EXAMPLE.net"))
    loop.run(town.remove_domain("example.org"))
    assert loop.run(town.domains()) == []
    with pytest.raises(NoSuchDomain):
        loop.run(town.remove_domain("example.org"))


def test_the_configurations_domains_are_fixed(town, loop):
    loop.run(town.set_fixed_domains(["EXAMPLE.org", "new.example"]))
    fixed = {domain.name: domain.fixed for domain in loop.run(town.domains())}
    assert fixed == {"example.org": True, "new.example": True, "example.net": False}
    with pytest.raises(InUse):
        loop.run(town.remove_domain("new.example"))
    loop.run(town.set_fixed_domains(["example.org"]))
    loop.run(town.remove_domain("new.example"))


def test_update_domain_changes_what_is_given(town, loop):
    changed = loop.run(town.update_domain("example.org", catch_all="Bob@Example.ORG"))
    assert (changed.catch_all, changed.separator) == ("bob@example.org", "+")
    changed = loop.run(town.update_domain("example.org", separator="-"))
    assert (changed.catch_all, changed.separator) == ("bob@example.org", "-")
    assert loop.run(town.update_domain("example.org", catch_all="")).catch_all == ""
    with pytest.raises(NoSuchDomain):
        loop.run(town.update_domain("nowhere.example", separator="-"))


# accounts and their addresses


def test_an_account_is_kept_whole(town, loop):
    alice = loop.run(town.account("A1"))
    assert (alice.id, alice.address, alice.status, alice.role) == ("A1", "Alice@Example.org", "active", "user")
    assert (alice.created, alice.generation) == (100.5, 1)
    assert [account.id for account in loop.run(town.accounts())] == ["A1", "B1"]
    assert [account.id for account in loop.run(town.accounts("EXAMPLE.org"))] == ["A1", "B1"]
    assert loop.run(town.accounts("example.net")) == []
    with pytest.raises(NoSuchAccount):
        loop.run(town.account("C1"))


def test_an_address_belongs_to_one(town, loop):
    for taken in ("alice@example.org", "ALICE@EXAMPLE.ORG"):
        with pytest.raises(AlreadyExists):
            loop.run(town.add_account("C1", parse_address(taken), 0.0))
        with pytest.raises(AlreadyExists):
            loop.run(town.add_address("B1", parse_address(taken)))
    with pytest.raises(AlreadyExists):
        loop.run(town.add_account("A1", parse_address("new@example.org"), 0.0))
    with pytest.raises(NoSuchDomain):
        loop.run(town.add_account("C1", parse_address("c@elsewhere.example"), 0.0))
    with pytest.raises(NoSuchDomain):  # an alias domain has no addresses of its own
        loop.run(town.add_account("C1", parse_address("c@example.net"), 0.0))
    assert [account.id for account in loop.run(town.accounts())] == ["A1", "B1"]


def test_further_addresses_come_and_go(town, loop):
    loop.run(town.add_address("A1", parse_address("a.smith@example.org")))
    assert loop.run(town.addresses("A1")) == ["Alice@Example.org", "a.smith@example.org"]
    assert resolve(town, loop, "a.smith@example.org").local == (("A1", "a.smith@example.org"),)
    with pytest.raises(InUse):
        loop.run(town.remove_address(parse_address("alice@example.org")))
    loop.run(town.remove_address(parse_address("A.Smith@example.org")))
    assert unknown(town, loop, "a.smith@example.org")
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_address(parse_address("a.smith@example.org")))
    with pytest.raises(NoSuchAccount):
        loop.run(town.add_address("C1", parse_address("c@example.org")))


def test_an_account_is_found_by_its_own_addresses(town, loop):
    loop.run(town.set_alias(Alias("team@example.org", ("alice@example.org",))))
    for text in ("ALICE@example.org", "alice+lists@example.org", "alice@example.net"):
        assert loop.run(town.account_by_address(parse_address(text))).id == "A1"
    for text in ("team@example.org", "nobody@example.org", "alice@elsewhere.example"):
        with pytest.raises(NoSuchAccount):
            loop.run(town.account_by_address(parse_address(text)))


def test_a_removed_account_leaves_nothing(town, loop):
    loop.run(town.add_address("A1", parse_address("a@example.org")))
    loop.run(town.replace_credentials("A1", "password", [Credential("K1", "A1", "argon2id", "x")]))
    loop.run(town.remove_account("A1"))
    assert unknown(town, loop, "alice@example.org")
    assert unknown(town, loop, "a@example.org")
    assert loop.run(town.credentials("A1")) == []
    assert loop.run(town.login_record("alice@example.org")) == LoginRecord(None)
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_account("A1"))


# resolving


def test_an_account_is_found_in_any_case_and_with_detail(town, loop):
    for text in ("alice@example.org", "ALICE@EXAMPLE.ORG", "Alice+News@Example.org", "alice+@example.org"):
        assert resolve(town, loop, text) == Resolved(True, (("A1", text),))
    assert unknown(town, loop, "alicia@example.org")
    assert unknown(town, loop, "alice-news@example.org")


def test_an_address_is_found_by_its_normal_form(town, loop):
    loop.run(town.add_account("C1", parse_address("Zoë@example.org"), 0.0))
    assert resolve(town, loop, "ZOE\u0308@example.org").local == (("C1", "ZOE\u0308@example.org"),)


def test_the_separator_is_the_domains(town, loop):
    loop.run(town.update_domain("example.org", separator="-"))
    assert resolve(town, loop, "alice-x@example.org").known
    assert unknown(town, loop, "alice+x@example.org")
    loop.run(town.update_domain("example.org", separator=""))
    assert unknown(town, loop, "alice-x@example.org")


def test_an_exact_address_goes_before_detail(town, loop):
    loop.run(town.add_address("B1", parse_address("alice+bob@example.org")))
    assert resolve(town, loop, "alice+bob@example.org").local == (("B1", "alice+bob@example.org"),)


def test_foreign_addresses_are_for_the_relay_as_written(town, loop):
    assert resolve(town, loop, "X.y@Else.Example") == Resolved(True, remote=("X.y@Else.Example",))


def test_a_domain_alias_is_looked_up_in_its_domain(town, loop):
    assert resolve(town, loop, "Alice+a@Example.net") == Resolved(True, (("A1", "Alice+a@Example.net"),))
    assert unknown(town, loop, "nobody@example.net")


def test_an_alias_gives_one_copy_an_account(town, loop):
    loop.run(
        town.set_alias(
            Alias(
                "Team@example.org",
                ("alice@example.org", "bob@example.org", "ALICE@example.org", "Far@away.example", "far@AWAY.example"),
            )
        )
    )
    assert resolve(town, loop, "team@example.org") == Resolved(
        True, (("A1", "alice@example.org"), ("B1", "bob@example.org")), ("Far@away.example",)
    )
    assert loop.run(town.aliases())[0].address == "Team@example.org"
    assert loop.run(town.aliases("example.org"))[0].targets[3] == "Far@away.example"
    assert loop.run(town.aliases("example.net")) == []


@pytest.mark.parametrize(
    ("policy", "came_for"),
    [("keep", "alice+x@example.org"), ("cut", "alice@example.org"), ("refuse", None)],
)
def test_an_alias_keeps_cuts_or_refuses_detail(town, loop, policy, came_for):
    loop.run(town.set_alias(Alias("desk@example.org", ("alice@example.org",), detail=policy)))
    found = resolve(town, loop, "desk+x@example.org")
    assert found == (Resolved(True, (("A1", came_for),)) if came_for else Resolved(False))
    assert resolve(town, loop, "desk@example.org").local == (("A1", "alice@example.org"),)


def test_detail_is_not_sent_to_foreign_targets(town, loop):
    loop.run(town.set_alias(Alias("desk@example.org", ("far@away.example",), detail="keep")))
    assert resolve(town, loop, "desk+x@example.org").remote == ("far@away.example",)


def test_a_loop_is_refused_when_set(town, loop):
    with pytest.raises(InUse):
        loop.run(town.set_alias(Alias("a@example.org", ("a+x@example.org",))))
    loop.run(town.set_alias(Alias("a@example.org", ("b@example.org",))))
    loop.run(town.set_alias(Alias("b@example.org", ("c@example.net",))))
    with pytest.raises(InUse):
        loop.run(town.set_alias(Alias("c@example.org", ("a@example.org",))))


def test_a_loop_that_came_about_is_passed_over(town, loop):
    loop.run(town.set_alias(Alias("a@example.org", ("b@later.example", "alice@example.org"))))
    loop.run(town.add_domain("later.example"))
    loop.run(town.set_alias(Alias("c@example.org", ("a@example.org",))))
    loop.run(town.add_domain("last.example"))
    loop.run(town.update_domain("later.example", catch_all="c@example.org"))
    assert resolve(town, loop, "a@example.org") == Resolved(True, (("A1", "alice@example.org"),))


def test_a_loop_of_nothing_else_is_unknown(town, loop):
    loop.run(town.set_alias(Alias("a@example.org", ("b@later.example",))))
    loop.run(town.add_domain("later.example"))
    loop.run(town.update_domain("later.example", catch_all="a@example.org"))
    assert unknown(town, loop, "a@example.org")


def test_ten_steps_of_aliases_and_no_more(town, loop):
    target = "alice@example.org"
    for step in range(11):
        loop.run(town.set_alias(Alias(f"s{step}@example.org", (target,))))
        target = f"s{step}@example.org"
    assert resolve(town, loop, "s9@example.org").known
    assert unknown(town, loop, "s10@example.org")


def test_aliases_are_replaced_only_when_asked(town, loop):
    loop.run(town.set_alias(Alias("desk@example.org", ("alice@example.org",))))
    with pytest.raises(AlreadyExists):
        loop.run(town.set_alias(Alias("DESK@example.org", ("bob@example.org",))))
    loop.run(town.set_alias(Alias("DESK@example.org", ("bob@example.org",)), replace=True))
    assert resolve(town, loop, "desk@example.org").local == (("B1", "bob@example.org"),)
    with pytest.raises(AlreadyExists):  # an account is never replaced
        loop.run(town.set_alias(Alias("alice@example.org", ("bob@example.org",)), replace=True))
    loop.run(town.remove_alias(parse_address("desk@example.org")))
    assert unknown(town, loop, "desk@example.org")
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_alias(parse_address("desk@example.org")))
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_alias(parse_address("alice@example.org")))


def test_bad_aliases_are_refused_and_leave_the_old_one(town, loop):
    loop.run(town.set_alias(Alias("desk@example.org", ("alice@example.org",))))
    many = tuple(f"u{number}@away.example" for number in range(901))
    for targets, error in (((), BadAddress), (("nonsense",), BadAddress), (many, LimitReached)):
        with pytest.raises(error):
            loop.run(town.set_alias(Alias("desk@example.org", targets), replace=True))
    with pytest.raises(NoSuchDomain):
        loop.run(town.set_alias(Alias("desk@away.example", ("alice@example.org",))))
    with pytest.raises(ValueError):
        loop.run(town.set_alias(Alias("new@example.org", ("alice@example.org",), detail="drop")))
    assert resolve(town, loop, "desk@example.org").local == (("A1", "alice@example.org"),)


def test_a_dangling_target_is_passed_over(town, loop):
    loop.run(town.set_alias(Alias("desk@example.org", ("alice@example.org", "nobody@example.org"))))
    assert resolve(town, loop, "desk@example.org") == Resolved(True, (("A1", "alice@example.org"),))
    loop.run(town.remove_account("A1"))
    assert unknown(town, loop, "desk@example.org")


def test_the_catch_all_takes_what_no_other_does(town, loop):
    loop.run(town.update_domain("example.org", catch_all="bob@example.org"))
    assert resolve(town, loop, "Any+thing@example.org").local == (("B1", "Any+thing@example.org"),)
    assert resolve(town, loop, "any@example.net").local == (("B1", "any@example.net"),)
    assert resolve(town, loop, "alice@example.org").local == (("A1", "alice@example.org"),)
    loop.run(town.update_domain("example.org", catch_all="box@away.example"))
    assert resolve(town, loop, "any@example.org").remote == ("box@away.example",)
    loop.run(town.update_domain("example.org", catch_all="nobody@example.org"))
    assert unknown(town, loop, "any@example.org")


def test_every_domain_has_a_postmaster(town, loop):
    loop.run(town.add_domain("empty.example"))
    assert resolve(town, loop, "PostMaster@example.org").local == (("A1", "PostMaster@example.org"),)
    assert resolve(town, loop, "postmaster@empty.example").local == (("A1", "postmaster@empty.example"),)
    assert resolve(town, loop, "postmaster").local == (("A1", "postmaster"),)
    loop.run(town.set_role("B1", "admin"))
    for text in ("postmaster@example.org", "Postmaster@empty.example", "postmaster@example.net", "Postmaster"):
        assert resolve(town, loop, text).local == (("B1", text),)
    loop.run(town.set_alias(Alias("postmaster@example.org", ("alice@example.org",))))
    assert resolve(town, loop, "postmaster@example.org").local == (("A1", "alice@example.org"),)
    assert resolve(town, loop, "postmaster").local == (("A1", "alice@example.org"),)
    assert resolve(town, loop, "postmaster@empty.example").local == (("B1", "postmaster@empty.example"),)
    assert unknown(town, loop, "alice")


def test_what_belongs_to_nobody_is_shared_and_is_no_postmaster(directory, loop):
    loop.run(directory.add_domain("empty.example"))
    made = loop.run(directory.add_account("T1", parse_address("Team@empty.example"), 50.0, "shared"))
    assert made == loop.run(directory.account("T1")) and made.role == "shared" and not made.may_login
    assert resolve(directory, loop, "team@empty.example").local == (("T1", "team@empty.example"),)
    assert resolve(directory, loop, "postmaster@empty.example") == Resolved(True, refusal="4.2.0")
    loop.run(directory.add_account("A1", parse_address("alice@empty.example"), 100.0))
    assert resolve(directory, loop, "postmaster@empty.example").local == (("A1", "postmaster@empty.example"),)
    assert loop.run(directory.sharers("A1")) == ()
    loop.run(directory.set_sharing("T1", "A1", True))
    loop.run(directory.set_sharing("A1", "anyone", True))
    assert loop.run(directory.sharers("A1")) == (Sharer("T1", "Team@empty.example", True),)
    assert loop.run(directory.sharers("T1")) == (Sharer("A1", "alice@empty.example"),)
    with pytest.raises(ValueError):
        loop.run(directory.add_account("X1", parse_address("x@empty.example"), 1.0, "owner"))


def test_what_is_written_to_our_notices_is_for_the_postmaster(town, loop):
    loop.run(town.add_domain("empty.example"))
    loop.run(town.update_domain("example.org", catch_all="bob@example.org"))
    for text in ("MAILER-DAEMON@example.org", "mailer-daemon+x@empty.example", "Mailer-Daemon"):
        resolved = resolve(town, loop, text)
        assert [account_id for account_id, _ in resolved.local] == ["A1"], text
    loop.run(town.set_alias(Alias("postmaster@example.org", ("mailer-daemon@example.org", "box@away.example"))))
    assert resolve(town, loop, "mailer-daemon@example.org").remote == ("box@away.example",)
    loop.run(town.set_alias(Alias("mailer-daemon@example.org", ("bob@example.org",))))
    assert resolve(town, loop, "mailer-daemon@example.org").local == (("B1", "bob@example.org"),)
    assert not loop.run(town.may_send_as("A1", parse_address("mailer-daemon@empty.example")))


def test_mail_for_the_postmaster_is_put_off_while_there_is_nobody(directory, loop):
    loop.run(directory.add_domain("empty.example"))
    for text in ("postmaster@empty.example", "mailer-daemon@empty.example", "postmaster"):
        assert resolve(directory, loop, text) == Resolved(True, refusal="4.2.0")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("no-login", Resolved(True, (("A1", "alice@example.org"),))),
        ("no-receive", Resolved(True, refusal="5.2.1")),
        ("suspended", Resolved(True, refusal="4.2.1")),
        ("deleting", Resolved(False)),
    ],
)
def test_the_status_decides_about_mail(town, loop, status, expected):
    loop.run(town.set_status("A1", status))
    assert resolve(town, loop, "alice@example.org") == expected
    loop.run(town.set_alias(Alias("team@example.org", ("alice@example.org", "bob@example.org"))))
    assert ("B1", "bob@example.org") in resolve(town, loop, "team@example.org").local


# logins


def test_a_login_record_holds_account_and_credentials(town, loop):
    password = Credential("K1", "A1", "argon2id", "$argon2id$", label="password", created=1.0)
    phone = Credential("K2", "A1", "scram-sha-256", "s,1,k,v", frozenset({"imap"}), "phone", 2.0)
    loop.run(town.replace_credentials("A1", "password", [password]))
    loop.run(town.replace_credentials("A1", "phone", [phone]))
    for login in ("alice@example.org", "ALICE@EXAMPLE.ORG", "alice@example.net"):
        record = loop.run(town.login_record(login))
        assert record.account is not None
        assert (record.account.id, record.account.generation) == ("A1", 3)
        assert record.credentials == (password, phone)
    for login in ("alice+x@example.org", "alice", "", "@", "nobody@example.org", "alice@else.example", "\udcff@x"):
        assert loop.run(town.login_record(login)) == LoginRecord(None)
    loop.run(town.replace_credentials("A1", "password", []))
    assert loop.run(town.credentials("A1")) == [phone]
    with pytest.raises(NoSuchAccount):
        loop.run(town.replace_credentials("C1", "password", []))


def test_credentials_are_renewed_if_they_are_still_there_and_end_nothing(town, loop):
    foreign = [
        Credential(f"F{n}", "A1", kind, "x", label="password") for n, kind in enumerate(("foreign", "scram-sha-256"))
    ]
    phone = Credential("K2", "A1", "argon2id", "y", frozenset({"imap"}), "phone", 2.0)
    loop.run(town.replace_credentials("A1", "password", foreign))
    loop.run(town.replace_credentials("A1", "phone", [phone]))
    generation = loop.run(town.account("A1")).generation
    ours = Credential("K1", "A1", "argon2id", "$argon2id$", label="password", created=1.0)
    assert loop.run(town.renew_credentials("A1", "F0", [ours]))
    assert loop.run(town.login_record("alice@example.org")).credentials == (ours, phone)
    assert loop.run(town.account("A1")).generation == generation
    for account, gone in (("A1", "F0"), ("A1", "F1"), ("B1", "K1"), ("C1", "K1")):
        assert not loop.run(town.renew_credentials(account, gone, []))
    assert loop.run(town.credentials("A1")) == [ours, phone]


def test_an_account_sends_as_what_leads_to_it_alone(town, loop):
    loop.run(town.set_alias(Alias("sales@example.org", ("alice@example.org",))))
    loop.run(town.set_alias(Alias("team@example.org", ("alice@example.org", "bob@example.org"))))
    loop.run(town.set_alias(Alias("both@example.org", ("alice@example.org", "a@away.example"))))
    loop.run(town.update_domain("example.org", catch_all="alice@example.org"))

    def may(text):
        return loop.run(town.may_send_as("A1", parse_address(text)))

    for mine in ("alice@example.org", "Alice+x@Example.NET", "sales@example.org"):
        assert may(mine)
    for other in ("bob@example.org", "team@example.org", "both@example.org", "any@example.org", "a@away.example"):
        assert not may(other)
    assert not may("postmaster@example.org")
    assert not loop.run(town.may_send_as("A1", Address("postmaster", "")))


# the cache and those who want to know


class Counting:
    """An engine that counts its reads."""

    def __init__(self, engine):
        self.engine = engine
        self.reads = 0

    def read(self, *args, **kwargs):
        self.reads += 1
        return self.engine.read(*args, **kwargs)

    def write(self, *args, **kwargs):
        return self.engine.write(*args, **kwargs)


def test_a_hot_recipient_costs_no_read(town, engine, loop):
    counting = Counting(engine)
    hot = Directory(counting)
    for _ in range(3):
        assert resolve(hot, loop, "alice@example.org").known
        assert loop.run(hot.is_local("example.org"))
        assert loop.run(hot.login_record("alice@example.org")).account is not None
        assert loop.run(hot.may_send_as("A1", parse_address("alice@example.org")))
    assert counting.reads == 4


def test_a_change_is_seen_at_once(town, loop):
    assert unknown(town, loop, "carol@example.org")
    loop.run(town.add_account("C1", parse_address("carol@example.org"), 0.0))
    assert resolve(town, loop, "carol@example.org").known


def test_an_answer_read_before_a_change_is_not_kept(town, engine, loop):
    """The read has its answer, the change commits, then the read returns."""

    class Slow(Counting):
        async def read(self, *args, **kwargs):
            answer = await self.engine.read(*args, **kwargs)
            await directory.add_account("C1", parse_address("carol@example.org"), 0.0)
            self.read = self.engine.read
            return answer

    directory = Directory(Slow(engine))
    assert unknown(directory, loop, "carol@example.org")
    assert resolve(directory, loop, "carol@example.org").known


def test_the_cache_is_bounded(town, engine, loop):
    small = Directory(engine, cache_size=10)
    for number in range(50):
        resolve(small, loop, f"u{number}@example.org")
    assert len(small._cache) == 10


def test_hidden_capabilities_of_an_account(town, loop):
    assert loop.run(town.account("A1")).hidden == ""
    assert loop.run(town.set_hidden("A1", ["IDLE", "UIDONLY"])).hidden == "IDLE UIDONLY"
    assert loop.run(town.account("A1")).hidden == "IDLE UIDONLY"
    assert {one.hidden for one in loop.run(town.accounts(None)) if one.id != "A1"} == {""}
    assert loop.run(town.set_hidden("A1", [])).hidden == ""
    with pytest.raises(NoSuchAccount):
        loop.run(town.set_hidden("nobody", []))


def test_raised_generations_are_told_after_the_commit(town, loop):
    told = []

    def changed(account_id):
        told.append((account_id, loop.run(town.account(account_id)).generation))

    end = town.on_account_change(changed)
    loop.run(town.set_role("A1", "admin"))
    assert told == []
    loop.run(town.set_status("A1", "suspended"))
    loop.run(town.replace_credentials("B1", "password", []))
    assert told == [("A1", 2), ("B1", 2)]
    end()
    end()
    loop.run(town.set_status("A1", "active"))
    assert len(told) == 2


def test_a_removal_is_told(town, loop):
    told = []
    town.on_account_change(told.append)
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_account("C1"))
    loop.run(town.remove_account("A1"))
    assert told == ["A1"]


def test_changes_of_another_process_are_polled(town, engine, loop):
    here = Directory(engine)
    told = []
    here.on_account_change(told.append)
    loop.run(here.poll())
    assert resolve(here, loop, "alice@example.org").known
    loop.run(town.set_status("A1", "deleting"))
    assert resolve(here, loop, "alice@example.org").known  # not polled yet
    loop.run(here.poll())
    assert unknown(here, loop, "alice@example.org")
    assert told == ["A1"]
    loop.run(here.set_status("B1", "no-login"))
    loop.run(here.poll())
    assert told == ["A1", "B1"]


def test_others_are_told_of_a_change_before_it_returns(town, engine, loop):
    here = Directory(engine)
    there = Directory(engine, tell_others=here.poll)
    loop.run(here.poll())
    assert resolve(here, loop, "alice@example.org").known
    loop.run(there.set_status("A1", "deleting"))
    assert unknown(here, loop, "alice@example.org")

    async def gone():
        raise StoreUnavailable

    loop.run(Directory(engine, tell_others=gone).set_status("A1", "active"))  # it is made, whoever hears of it


def test_a_grant_to_send_as_an_address_of_several(town, loop):
    def may(account_id, text):
        return loop.run(town.may_send_as(account_id, parse_address(text)))

    loop.run(town.set_alias(Alias("team@example.org", ("alice@example.org", "bob@example.org"))))
    for account_id in ("A1", "B1"):
        assert not may(account_id, "team@example.org")
    loop.run(town.add_grant("A1", "Team@example.org"))
    loop.run(town.add_grant("A1", "team@example.org"))
    for text in ("team@example.org", "TEAM+x@example.org", "team@example.net"):
        assert may("A1", text) and not may("B1", text)
    loop.run(town.add_grant("A1", "bob@example.org"))
    assert may("A1", "bob@example.org") and not may("B1", "alice@example.org")
    assert loop.run(town.grants()) == [
        Grant("bob@example.org", "A1", "Alice@Example.org"),
        Grant("Team@example.org", "A1", "Alice@Example.org"),
    ]
    loop.run(town.remove_grant("A1", "team@example.org"))
    assert not may("A1", "team@example.org")
    assert loop.run(town.grants("B1")) == []
    with pytest.raises(NoSuchAccount):
        loop.run(town.remove_grant("A1", "team@example.org"))


def test_a_grant_for_a_whole_domain(town, loop):
    def may(text):
        return loop.run(town.may_send_as("A1", parse_address(text)))

    loop.run(town.add_domain("other.example"))
    loop.run(town.add_grant("A1", "@Example.ORG"))
    assert may("bob@example.org") and may("any.thing@example.net")
    assert not may("any@other.example") and not may("any@sub.example.org") and not may("any@foreign.example")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("nobody@example.org", NoSuchAccount),
        ("alice@foreign.example", NoSuchDomain),
        ("@foreign.example", NoSuchDomain),
        ("@example.net", NoSuchDomain),  # an alias of a domain has no addresses of its own
        ("alice@example.net", BadAddress),
        ("alice+x@example.org", BadAddress),
        ("alice", BadAddress),
        ("@", BadAddress),
    ],
)
def test_what_cannot_be_granted(town, loop, address, error):
    with pytest.raises(error):
        loop.run(town.add_grant("B1", address))
    with pytest.raises(NoSuchAccount):
        loop.run(town.add_grant("Z9", "alice@example.org"))
    assert loop.run(town.grants()) == []


def test_grants_end_with_what_they_are_about(town, loop):
    loop.run(town.add_domain("other.example"))
    loop.run(town.set_alias(Alias("team@example.org", ("alice@example.org", "bob@example.org"))))
    loop.run(town.add_address("B1", parse_address("further@example.org")))
    for address in ("team@example.org", "further@example.org", "bob@example.org", "@other.example"):
        loop.run(town.add_grant("A1", address))
    loop.run(town.add_grant("B1", "alice@example.org"))
    loop.run(town.set_alias(Alias("team@example.org", ("bob@example.org", "x@away.example")), replace=True))
    assert loop.run(town.may_send_as("A1", parse_address("team@example.org")))  # it is the same address still
    loop.run(town.remove_alias(parse_address("team@example.org")))
    loop.run(town.remove_address(parse_address("further@example.org")))
    loop.run(town.remove_domain("other.example"))
    assert [grant.address for grant in loop.run(town.grants("A1"))] == ["bob@example.org"]
    loop.run(town.remove_account("B1"))
    assert loop.run(town.grants()) == []
    loop.run(town.add_account("B1", parse_address("bob@example.org"), 102.0))
    assert not loop.run(town.may_send_as("A1", parse_address("bob@example.org")))
    assert not loop.run(town.may_send_as("B1", parse_address("alice@example.org")))


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[10.1.2.3]", "[IPv6:::1]", "[IPv6:::ffff:192.168.0.1]"])
def test_an_alias_leads_to_no_address_that_is_nobody_s(town, loop, literal):
    with pytest.raises(BadAddress, match="loopback, private or reserved"):
        loop.run(town.set_alias(Alias("far@example.org", (f"x@{literal}",))))
    loop.run(town.set_alias(Alias("far@example.org", ("x@[1.1.1.1]",))))


def test_an_alias_may_have_an_owner_who_is_here_and_not_reached_by_it(town, loop):
    far = ("a@far.example", "alice@example.org")
    loop.run(town.set_alias(Alias("list@example.org", far, owner="boss@example.org")))
    assert [one.owner for one in loop.run(town.aliases("example.org")) if one.address == "list@example.org"] == [
        "boss@example.org"
    ]
    resolved = loop.run(town.resolve(parse_address("List+x@example.org")))
    assert (resolved.owner, resolved.remote) == ("boss@example.org", ("a@far.example",))
    loop.run(town.set_alias(Alias("outer@example.org", ("list@example.org",))))
    assert loop.run(town.resolve(parse_address("outer@example.org"))).owner == ""
    loop.run(town.set_alias(Alias("inner@example.org", ("alice@example.org",), owner="boss@example.org")))
    assert loop.run(town.resolve(parse_address("inner@example.org"))).owner == "", "nothing leaves this server"
    for owner in ("boss@far.example", "list@example.org", "outer@example.org"):
        with pytest.raises(BadAddress, match="the owner"):
            loop.run(town.set_alias(Alias("list@example.org", far, owner=owner), replace=True))


# keys of forwarded mail


def test_a_key_of_forwarded_mail_is_added_when_the_last_is_old_enough_and_the_oldest_go(town, loop):
    assert loop.run(town.forwarding_keys()) == ()
    keys = [ForwardingKey(float(time), f"{time:02x}") for time in (0, 10, 20, 30)]
    assert loop.run(town.add_forwarding_key(keys[0], 10, 3)) == (keys[0],)
    assert loop.run(town.add_forwarding_key(ForwardingKey(9.0, "aa"), 10, 3)) == (keys[0],), "another process was first"
    for key in keys[1:]:
        loop.run(town.add_forwarding_key(key, 10, 3))
    assert loop.run(town.forwarding_keys()) == (keys[3], keys[2], keys[1])
    assert "1e" not in repr(keys[3])


# keys that sign


def key_of(selector, algorithm="rsa", state="active", created=5.0):
    return DkimKey("example.org", selector, algorithm, state, created, "cHVi", "a private key")


def test_keys_of_a_domain_are_kept_with_their_states(town, loop):
    first, second = key_of("m1r"), key_of("m1e", "ed25519")
    loop.run(town.add_dkim_keys("Example.ORG", [second, first]))
    assert loop.run(town.dkim_keys("example.org")) == (first, second)
    assert loop.run(town.dkim_keys("example.net")) == loop.run(town.dkim_keys("not a domain")) == ()
    with pytest.raises(AlreadyExists):
        loop.run(town.add_dkim_keys("example.org", [key_of("m2r"), key_of("m1e")]))
    with pytest.raises(NoSuchDomain):
        loop.run(town.add_dkim_keys("elsewhere.example", [key_of("m1r")]))
    loop.run(town.set_dkim_ready("example.org", {"m1r": 7.0, "m1e": 8.0}))
    assert [key.ready_at for key in loop.run(town.dkim_keys("example.org"))] == [7.0, 8.0]
    loop.run(town.set_dkim_states("example.org", {"m1r": "retired", "none": "active"}, 9.0))
    assert [(key.state, key.changed, key.ready_at) for key in loop.run(town.dkim_keys("example.org"))] == [
        ("retired", 9.0, 0.0),
        ("active", 0.0, 8.0),
    ]
    with pytest.raises(ValueError, match="no such state"):
        loop.run(town.set_dkim_states("example.org", {"m1r": "asleep"}, 9.0))
    loop.run(town.remove_dkim_key("example.org", "m1r"))
    assert [key.selector for key in loop.run(town.dkim_keys("example.org"))] == ["m1e"]


def test_another_process_hears_of_new_keys(town, engine, loop):
    other = Directory(engine)
    assert loop.run(other.dkim_keys("example.org")) == ()
    loop.run(other.poll())
    loop.run(town.add_dkim_keys("example.org", [key_of("m1r")]))
    loop.run(other.poll())
    assert loop.run(other.dkim_keys("example.org")) == (key_of("m1r"),)


def test_a_domain_takes_its_keys_with_it(directory, loop):
    loop.run(directory.add_domain("example.org"))
    loop.run(directory.add_dkim_keys("example.org", [key_of("m1r")]))
    loop.run(directory.remove_domain("example.org"))
    loop.run(directory.add_domain("example.org"))
    assert loop.run(directory.dkim_keys("example.org")) == ()


def test_a_private_key_is_not_shown():
    assert "a private key" not in repr(key_of("m1r"))
