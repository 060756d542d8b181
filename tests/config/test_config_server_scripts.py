"""Scripts that the configuration names: read, checked, and told of with their mistakes."""

import pytest
from twisted.internet.task import Clock

from mailnode.config.changes import live
from mailnode.config.checkup import check_up, present_user
from mailnode.config.holder import Holder
from mailnode.config.loader import read
from mailnode.config.server_scripts import read_server_scripts
from mailnode.errors import ConfigurationError
from mailnode.net.no_reactor import run_now
from mailnode.net.tls import CertificateStore
from mailnode.server.reloading import Reloading


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "before.sieve").write_text("keep;")
    (tmp_path / "after.sieve").write_text("discard;")
    (tmp_path / "wrong.sieve").write_text("keep;\n  nonsense;\ndiscard")
    global_scripts = tmp_path / "global"
    global_scripts.mkdir()
    (global_scripts / "lists.sieve").write_text("stop;")
    (global_scripts / "README").write_text("not a script")
    return tmp_path


def config(folder, sieve=None, domain=()):
    sections = {"sieve": sieve or {}, "domain": list(domain)}
    listener = [{"protocol": "smtp", "endpoint": "tcp:25"}]
    return read({"server": {"hostname": "mx.a.test", "data": "data"}, "listener": listener, **sections}, folder)


def test_all_that_is_named_is_read(folder):
    found = read_server_scripts(
        config(
            folder,
            {"before": ["before.sieve"], "after": ["after.sieve"], "global_scripts": "global"},
            [{"name": "A.test", "sieve_before": ["after.sieve"]}, {"name": "b.test"}],
        )
    )
    (before,), (after,) = found.everywhere
    assert (before.source, before.name) == (b"keep;", str(folder / "before.sieve"))
    assert after.source == b"discard;" and len(after.digest) == 64
    assert {name: [one.source for one in around[0]] for name, around in found.domains.items()} == {
        "a.test": [b"discard;"]
    }
    assert {name: one.source for name, one in found.included.items()} == {"lists": b"stop;"}


def test_mistakes_are_told_all_at_once_with_their_places(folder):
    wanted = config(
        folder,
        {"before": ["wrong.sieve", "none.sieve"], "global_scripts": "nowhere"},
        [{"name": "a.test", "sieve_after": ["wrong.sieve"]}],
    )
    with pytest.raises(ConfigurationError) as raised:
        read_server_scripts(wanted)
    wrong = folder / "wrong.sieve"
    assert raised.value.mistakes[0].startswith(f"sieve.before: {wrong}:")
    assert f"sieve.before: {folder / 'none.sieve'}: cannot be read: No such file or directory" in raised.value.mistakes
    assert any(one.startswith(f"domain[0].sieve_after: {wrong}:") for one in raised.value.mistakes)
    assert any(one.startswith("sieve.global_scripts: ") for one in raised.value.mistakes)
    with pytest.raises(ConfigurationError, match=r"sieve\.before"):
        check_up(wanted, present_user())


class Kept:
    """A directory that takes whatever domains it is told."""

    async def set_fixed_domains(self, names):
        pass


def test_a_reload_takes_over_what_stands_in_the_files_or_nothing(folder):
    holder = Holder(config(folder, {"before": ["before.sieve"]}))
    told = []
    holder.tell(told.append)
    reloading = Reloading(holder, CertificateStore([], Clock()), Kept())
    assert run_now(reloading.take(lambda: holder.config)).applied == []
    (folder / "before.sieve").write_text("stop;")
    assert run_now(reloading.take(lambda: holder.config)).applied == ["sieve"]
    assert len(told) == 1, "processes read them again"
    (folder / "before.sieve").write_text("nonsense;")
    changes = run_now(reloading.take(lambda: holder.config))
    assert changes.applied == [] and "before.sieve:1:1" in changes.mistakes[0]
    assert len(told) == 1
    other = live(holder.config, config(folder))
    assert run_now(reloading.take(lambda: other)).applied == ["sieve.before"]
