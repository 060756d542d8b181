"""Filter scripts of accounts: the contract of IScripts, on each engine, and what several processes know of them."""

from __future__ import annotations

import pytest
from store_support import PARTITIONS
from zope.interface.verify import verifyObject

from mailnode.errors import (
    AlreadyExists,
    BadScriptName,
    NoSuchAccount,
    NoSuchScript,
    ScriptActive,
    ScriptChanged,
    ScriptQuotaReached,
    StoreDamaged,
    StoreUnavailable,
)
from mailnode.interfaces.scripts import IScripts
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.engines.remote import RemoteEngine
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades import scripts as facade
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.scripts import Scripts
from mailnode.values.scripts import MAX_NAME, VERSIONS, ScriptInfo, ScriptQuota, ScriptVersion

NOW = 1_800_000_000.0
QUOTA = ScriptQuota()


class Counting:
    """An engine that counts what is read of mail."""

    def __init__(self, engine):
        self._engine = engine
        self.reads = 0

    async def read(self, tenancy, unit, *args, **kwargs):
        self.reads += tenancy.startswith("mail")
        return await self._engine.read(tenancy, unit, *args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._engine, name)


@pytest.fixture
def counting(engine):
    return Counting(engine)


@pytest.fixture
def directory(counting):
    return Directory(counting)


@pytest.fixture
def scripts(counting, store, directory, clock):
    return Scripts(counting, store.partition, directory, clock)


def names(scripts, loop):
    return [one.name for one in loop.run(scripts.listing("ann"))]


def test_a_script_is_kept_with_its_versions(scripts, loop, clock):
    verifyObject(IScripts, scripts)
    assert loop.run(scripts.listing("ann")) == []
    assert loop.run(scripts.put("ann", "main", b"keep;", QUOTA)) == ScriptInfo("main", 5, False, 1, NOW)
    clock.advance(2.5)
    assert loop.run(scripts.put("ann", "main", b"discard;", QUOTA)) == ScriptInfo("main", 8, False, 2, NOW + 2.5)
    clock.advance(1)
    assert loop.run(scripts.put("ann", "main", b"discard;", QUOTA)) == ScriptInfo("main", 8, False, 2, NOW + 2.5)
    loop.run(scripts.put("ann", "also", b"", QUOTA))
    assert loop.run(scripts.listing("ann")) == [
        ScriptInfo("also", 0, False, 1, NOW + 3.5),
        ScriptInfo("main", 8, False, 2, NOW + 2.5),
    ]
    assert loop.run(scripts.versions("ann", "main")) == [ScriptVersion(2, 8, NOW + 2.5), ScriptVersion(1, 5, NOW)]
    assert [loop.run(scripts.read("ann", "main", number)).source for number in (0, 1, 2)] == [
        b"discard;",
        b"keep;",
        b"discard;",
    ]
    with pytest.raises(NoSuchScript):
        loop.run(scripts.read("ann", "main", 3))


def test_what_somebody_else_has_changed_meanwhile_is_not_written_over(scripts, loop):
    first = loop.run(scripts.put("ann", "main", b"keep;", QUOTA, "")).version
    seen = loop.run(scripts.read("ann", "main")).digest
    with pytest.raises(ScriptChanged):
        loop.run(scripts.put("ann", "main", b"discard;", QUOTA, ""))
    loop.run(scripts.put("ann", "main", b"stop;", QUOTA, seen))
    loop.run(scripts.put("ann", "main", b"stop;", QUOTA, seen))  # a unit may run twice
    with pytest.raises(ScriptChanged):
        loop.run(scripts.put("ann", "main", b"discard;", QUOTA, seen))
    with pytest.raises(ScriptChanged):
        loop.run(scripts.put("ann", "none", b"discard;", QUOTA, seen))
    assert loop.run(scripts.read("ann", "main")).source == b"stop;"
    assert [one.version for one in loop.run(scripts.versions("ann", "main"))] == [first + 1, first]
    assert names(scripts, loop) == ["main"]


def test_the_last_versions_stay(scripts, loop):
    for number in range(1, VERSIONS + 4):
        loop.run(scripts.put("ann", "main", b"#%d\r\n" % number, QUOTA))
    kept = [one.version for one in loop.run(scripts.versions("ann", "main"))]
    assert kept == list(range(VERSIONS + 3, 3, -1)) and len(kept) == VERSIONS
    assert loop.run(scripts.read("ann", "main", 4)).source == b"#4\r\n"
    with pytest.raises(NoSuchScript):
        loop.run(scripts.read("ann", "main", 3))


def test_older_versions_take_bounded_room(scripts, loop, clock):
    """Ten times what scripts may have: more than that is there when they were large and became small."""
    small = ScriptQuota(total=10)
    for name in ("a", "b", "c"):
        for number in range(VERSIONS - 1):
            clock.advance(1)
            loop.run(scripts.put("ann", name, b"%09d" % number, small))
        clock.advance(1)
        loop.run(scripts.put("ann", name, b"", small))
    kept = {name: [one.size for one in loop.run(scripts.versions("ann", name))] for name in ("a", "b", "c")}
    assert kept == {"a": [0], "b": [0, 9, 9], "c": [0, *[9] * 9]}


def test_one_script_is_active_and_stays_it_under_another_name_and_source(scripts, loop):
    for name in ("a", "b"):
        loop.run(scripts.put("ann", name, name.encode(), QUOTA))
    assert loop.run(scripts.active("ann")) is None
    loop.run(scripts.activate("ann", "a"))
    assert loop.run(scripts.active("ann")).source == b"a"
    loop.run(scripts.activate("ann", "b"))
    assert [one.active for one in loop.run(scripts.listing("ann"))] == [False, True]
    loop.run(scripts.rename("ann", "b", "c"))
    assert loop.run(scripts.put("ann", "c", b"other", QUOTA)).active
    active = loop.run(scripts.active("ann"))
    assert (active.name, active.source) == ("c", b"other")
    with pytest.raises(ScriptActive):
        loop.run(scripts.delete("ann", "c"))
    loop.run(scripts.delete("ann", "a"))
    loop.run(scripts.activate("ann", ""))
    assert loop.run(scripts.active("ann")) is None
    loop.run(scripts.delete("ann", "c"))
    assert names(scripts, loop) == []


def test_a_script_moves_with_its_versions_and_takes_no_other_one_s_name(scripts, loop):
    loop.run(scripts.put("ann", "a", b"1", QUOTA))
    loop.run(scripts.put("ann", "a", b"2", QUOTA))
    loop.run(scripts.put("ann", "b", b"3", QUOTA))
    with pytest.raises(AlreadyExists):
        loop.run(scripts.rename("ann", "a", "b"))
    loop.run(scripts.rename("ann", "a", "z"))
    assert len(loop.run(scripts.versions("ann", "z"))) == 2 and names(scripts, loop) == ["b", "z"]


def test_what_is_not_there(scripts, loop):
    loop.run(scripts.put("ann", "a", b"1", QUOTA))
    for name in ("b", "", "A", "a\0", "\ud800"):
        for ask in (
            scripts.read("ann", name),
            scripts.versions("ann", name),
            scripts.delete("ann", name),
            scripts.rename("ann", name, "x"),
            *([scripts.activate("ann", name)] if name else []),
        ):
            with pytest.raises(NoSuchScript):
                loop.run(ask)
    for ask in (
        scripts.listing("bob"),
        scripts.read("bob", "a"),
        scripts.versions("bob", "a"),
        scripts.check_room("bob", "a", 1, QUOTA),
        scripts.put("bob", "a", b"", QUOTA),
        scripts.activate("bob", ""),
        scripts.delete("bob", "a"),
        scripts.rename("bob", "a", "b"),
        scripts.active("bob"),
    ):
        with pytest.raises(NoSuchAccount):
            loop.run(ask)


@pytest.mark.parametrize(
    "name", ["", "a\tb", "\0", "\x7f", "\x85", "a\u2028", "\u2029", "\ud800", "a" * (MAX_NAME + 1)]
)
def test_names_that_cannot_be(scripts, loop, name):
    loop.run(scripts.put("ann", "a", b"", QUOTA))
    for ask in (
        scripts.put("ann", name, b"", QUOTA),
        scripts.check_room("ann", name, 0, QUOTA),
        scripts.rename("ann", "a", name),
    ):
        with pytest.raises(BadScriptName):
            loop.run(ask)


def test_names_are_composed(scripts, loop):
    loop.run(scripts.put("ann", "Ko\u0308ln", b"keep;", QUOTA))
    assert names(scripts, loop) == ["K\u00f6ln"]
    assert loop.run(scripts.read("ann", "Ko\u0308ln")) == loop.run(scripts.read("ann", "K\u00f6ln"))
    loop.run(scripts.put("ann", "\U0001f600" * 128, b"", QUOTA))  # the longest that RFC 5804 asks for


def test_what_an_account_may_keep(scripts, loop):
    small = ScriptQuota(scripts=2, size=10, total=15)

    def refused(name, size):
        with pytest.raises(ScriptQuotaReached) as asked:
            loop.run(scripts.check_room("ann", name, size, small))
        with pytest.raises(ScriptQuotaReached) as put:
            loop.run(scripts.put("ann", name, b"x" * size, small))
        assert asked.value.limit == put.value.limit
        return put.value.limit

    assert refused("a", 11) == "MAXSIZE"
    loop.run(scripts.put("ann", "a", b"x" * 10, small))
    loop.run(scripts.put("ann", "a", b"y" * 10, small))  # an older version is not counted
    assert refused("b", 6) == "MAXSIZE"
    loop.run(scripts.check_room("ann", "b", 5, small))
    loop.run(scripts.put("ann", "b", b"x" * 5, small))
    assert refused("c", 0) == "MAXSCRIPTS"
    loop.run(scripts.put("ann", "b", b"", small))
    assert [one.version for one in loop.run(scripts.listing("ann"))] == [2, 2]


def test_scripts_end_with_their_account(scripts, store, engine, loop):
    loop.run(scripts.put("ann", "a", b"1", QUOTA))
    loop.run(scripts.activate("ann", "a"))
    loop.run(store.remove("ann"))
    tenancy = mail_tenancy(store.partition("ann"))
    for table in ("script", "active_script"):
        assert loop.run(engine.read(tenancy, lambda tx, table=table: tx.execute(f"SELECT 1 FROM {table}"))) == []


def test_no_session_sees_a_change(scripts, store, loop):
    before = loop.run(store.account("ann").modseq())
    loop.run(scripts.put("ann", "a", b"1", QUOTA))
    loop.run(scripts.activate("ann", "a"))
    assert loop.run(store.account("ann").modseq()) == before


# what is remembered


def test_which_one_is_active_costs_nothing_twice(scripts, directory, counting, loop, clock):
    for source in (None, b"keep;"):
        if source is not None:
            loop.run(scripts.put("ann", "a", source, QUOTA))
            loop.run(scripts.activate("ann", "a"))
        loop.run(scripts.active("ann"))
        counting.reads = 0
        for _ in range(5):
            active = loop.run(scripts.active("ann"))
            assert (active.source if active is not None else None) == source
        assert counting.reads == 0
    loop.run(directory.touch())
    loop.run(scripts.active("ann"))
    assert counting.reads == 1
    clock.advance(facade.KNOWN)
    loop.run(scripts.active("ann"))
    assert counting.reads == 2


def test_memory_is_bounded(scripts, store, counting, loop, monkeypatch):
    monkeypatch.setattr(facade, "OCTETS_KNOWN", 250)
    for number in range(4):
        loop.run(store.provision(f"u{number}"))
        loop.run(scripts.put(f"u{number}", "a", b"#" * 100, QUOTA))
        loop.run(scripts.activate(f"u{number}", "a"))
    for number in range(4):
        loop.run(scripts.active(f"u{number}"))
        assert sum(len(one.source) for one in scripts._known.values() if one is not None) <= 250
    counting.reads = 0
    loop.run(scripts.active("u3"))
    assert counting.reads == 0
    monkeypatch.setattr(facade, "MOST_KNOWN", 2)
    for number in range(4):
        loop.run(scripts.active(f"u{number}"))
        assert len(scripts._known) <= 2


def test_what_was_read_before_a_change_is_not_remembered_after_it(scripts, counting, loop):
    loop.run(scripts.put("ann", "a", b"keep;", QUOTA))
    reading = counting.read

    async def slow(tenancy, unit, *args, **kwargs):
        answer = await reading(tenancy, unit, *args, **kwargs)
        if unit.__name__ == "active":
            counting.read = reading
            await scripts.activate("ann", "a")
        return answer

    counting.read = slow
    assert loop.run(scripts.active("ann")) is None
    assert loop.run(scripts.active("ann")).name == "a"


def test_a_change_that_told_nobody_is_told_when_it_is_made_again(scripts, counting, loop):
    """The directory could not be written: what was asked for may be done, and nobody is told that it is."""
    loop.run(scripts.put("ann", "a", b"keep;", QUOTA))
    touched = []
    write = counting.write

    async def failing(tenancy, unit, *args, **kwargs):
        if tenancy == "directory":
            touched.append(unit)
            if len(touched) == 1:
                raise StoreUnavailable
        return await write(tenancy, unit, *args, **kwargs)

    counting.write = failing
    with pytest.raises(StoreUnavailable):
        loop.run(scripts.activate("ann", "a"))
    assert loop.run(scripts.active("ann")).name == "a"
    loop.run(scripts.activate("ann", "a"))
    assert len(touched) == 2


# two processes


class Process:
    """What one process has of a store."""

    def __init__(self, engine, blobs, hints, clock, tell_others):
        self.store = MailStore(engine, blobs, hints, clock, PARTITIONS)
        self.directory = Directory(engine, tell_others=tell_others)
        self.scripts = Scripts(engine, self.store.partition, self.directory, clock)


@pytest.fixture(params=["sqlite", "postgres"])
def processes(request, tmp_path, loop, blobs, hints, clock):
    """Two processes of one server; each has the other look at the directory after a change."""
    if request.param == "postgres":
        from mailnode.store.engines.postgres import PostgresEngine

        url = request.getfixturevalue("cluster").url
        engines = [
            PostgresEngine(url, PARTITIONS, loop.call_from_thread, prefix="scripts", connections=2) for _ in range(2)
        ]
    else:
        owner = SqliteEngine(tmp_path, PARTITIONS, loop.call_from_thread)

        async def ask(name, tenancy="", unit=None, args=(), kwargs=None):
            if name == "out_of_service":
                return {}
            return await owner.write(tenancy, unit, *args, **kwargs)

        engines = [owner, RemoteEngine(tmp_path, PARTITIONS, loop.call_from_thread, ask)]
    made = []
    for number, engine in enumerate(engines):
        loop.run(engine.start())
        if number == 0 and request.param == "postgres":
            request.getfixturevalue("cluster").empty("scripts")
        made.append(
            Process(engine, blobs, hints, clock, lambda other=1 - number: made[other].directory.poll()),
        )
    loop.run(made[0].store.provision("ann"))
    for process in made:
        loop.run(process.directory.poll())
    yield made
    for engine in reversed(engines):
        loop.run(engine.stop())


@pytest.mark.parametrize("number", [0, 1])
def test_an_activation_is_known_everywhere_when_it_returns(processes, loop, number):
    here, there = processes[number].scripts, processes[1 - number].scripts
    assert loop.run(there.active("ann")) is None
    loop.run(here.put("ann", "a", b"keep;", QUOTA))
    for _ in range(3):
        loop.run(here.activate("ann", "a"))
        assert loop.run(there.active("ann")).source == b"keep;"
        loop.run(here.activate("ann", ""))
        assert loop.run(there.active("ann")) is None
    loop.run(here.activate("ann", "a"))
    loop.run(there.active("ann"))
    loop.run(here.put("ann", "a", b"discard;", QUOTA))
    assert loop.run(there.active("ann")).source == b"discard;"
    loop.run(here.rename("ann", "a", "b"))
    assert loop.run(there.active("ann")).name == "b"


# damage


def test_damage_is_found_and_mended(scripts, store, engine, loop):
    for source in (b"1", b"2"):
        loop.run(scripts.put("ann", "a", source, QUOTA))
    loop.run(scripts.activate("ann", "a"))
    tenancy = mail_tenancy(store.partition("ann"))

    def damage(statement):
        loop.run(engine.write(tenancy, lambda tx: tx.execute(statement)))
        loop.run(scripts._directory.touch())

    damage("UPDATE script SET digest = 'x' WHERE version = 2")
    with pytest.raises(StoreDamaged):
        loop.run(scripts.active("ann"))
    assert loop.run(store.check("ann").rows()) == ["a script that is damaged: ('a', 2)"]
    assert loop.run(store.check("ann").mend()) == ["version 2 of the script 'a', which was damaged, is removed"]
    loop.run(scripts._directory.touch())
    assert loop.run(scripts.active("ann")).source == b"1"
    damage("DELETE FROM script")
    assert loop.run(store.check("ann").rows()) == ["an active script that is not there: ('a',)"]
    assert loop.run(scripts.active("ann")) is None
    assert loop.run(store.check("ann").mend()) == ["no script is active: 'a' is lost"]
