"""A configuration on trial is put back in time, whatever happens to the server and the file meanwhile."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailnode.config.holder import Holder
from mailnode.errors import ConfigurationError
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.net.tls import CertificateStore
from mailnode.server.applying import AGAIN, ConfigApplying
from mailnode.server.config_source import ConfigSource
from mailnode.server.reloading import Changes, Reloading

TEXT = '[server]\nhostname = "mx.a.test"\ndata = "data"\n[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25"\n[limits]\nhops = '


class Kept:
    """A directory that keeps no domains."""

    async def set_fixed_domains(self, names):
        """There are none."""


class Host:
    """A file, a data directory, and servers on them, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mailnode.toml"
        (folder / "data").mkdir()
        self.clock = Clock()
        self.clock.advance(1000)
        self.source = ConfigSource(self.file, None)
        self.taken = []
        self.write(50)

    def write(self, hops, more=""):
        self.file.write_text(f"{TEXT}{hops}\n{more}")

    def start(self):
        chosen = self.source.choose(self.clock.seconds(), starting=True)
        self.holder = Holder(chosen.config)
        reloading = Reloading(self.holder, CertificateStore([], self.clock), Kept())
        self.applying = ConfigApplying(
            self.source, chosen, self.holder, reloading, self.clock, CallingThread(), self.taken_over
        )
        run_now(self.applying.start())
        return self

    async def taken_over(self):
        self.taken.append(self.hops)

    def crash(self):
        self.applying.stop()
        assert not self.clock.getDelayedCalls()

    def apply(self, confirm=0.0):
        return run_now(self.applying.apply(confirm))

    def reload(self):
        return run_now(self.applying.reload())

    @property
    def hops(self):
        return self.holder.config.limits.hops

    def states(self):
        return [
            (one["version"], one["how"], one["state"].partition(" 19")[0]) for one in run_now(self.applying.versions())
        ]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path).start()


def test_what_is_not_confirmed_is_put_back(host):
    host.write(7)
    told = host.apply(300)
    assert (told["applied"], told["version"], told["until"]) == (["limits.hops"], 2, "1970-01-01T00:21:40.000Z")
    assert host.states() == [(1, "start", "put back if the trial fails"), (2, "trial", "on trial until")]
    host.clock.advance(299)
    assert host.hops == 7
    host.clock.advance(1)
    assert host.hops == 50 and host.taken == [7, 50]
    assert host.states() == [(1, "start", "in use"), (2, "trial", "rolled back")]


def test_what_is_confirmed_stays(host):
    host.write(7)
    host.apply(300)
    assert run_now(host.applying.confirm()) == 2
    host.clock.advance(10_000)
    assert host.hops == 7 and not host.clock.getDelayedCalls()
    with pytest.raises(ConfigurationError, match="no configuration is on trial"):
        run_now(host.applying.confirm())
    host.crash()
    assert host.start().hops == 7


def test_what_is_applied_without_a_trial_stays_and_ends_one(host):
    host.write(7)
    host.apply(300)
    host.write(8)
    assert host.apply()["until"] == ""
    host.clock.advance(10_000)
    assert host.hops == 8
    assert host.states()[-1] == (3, "apply", "in use")


def test_a_server_that_starts_after_the_time_has_the_one_before(host):
    host.write(7)
    host.apply(300)
    host.crash()
    host.clock.advance(300)
    assert host.start().hops == 50
    assert host.states() == [(1, "start", "in use"), (2, "trial", "rolled back")]
    host.crash()
    assert host.start().hops == 50  # and the next one too


def test_a_server_that_starts_within_the_time_goes_on_with_the_trial(host):
    host.write(7)
    host.apply(300)
    host.clock.advance(200)
    host.crash()
    assert host.start().hops == 7
    host.clock.advance(99)
    assert host.hops == 7
    host.clock.advance(1)
    assert host.hops == 50


def test_what_cannot_be_started_with_is_put_back_at_once(host):
    host.write(7)
    host.apply(300)
    host.crash()
    real = ConfigSource.of_text

    def refusing(self, text, *, with_certificates=False):
        if b"hops = 7" in text:
            raise ConfigurationError(["tls.key: cannot be read"])
        return real(self, text, with_certificates=with_certificates)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigSource, "of_text", refusing)
        assert host.start().hops == 50
    assert host.states()[-1] == (2, "trial", "rolled back")


def test_what_was_put_back_stays_so_until_the_file_says_something_else(host):
    host.write(7)
    host.apply(300)
    host.clock.advance(300)
    assert host.reload().applied == [] and host.hops == 50
    host.write(8)
    assert host.reload().applied == ["limits.hops"] and host.hops == 8
    host.write(7)
    assert host.reload().applied == ["limits.hops"] and host.hops == 7
    host.crash()
    assert host.start().hops == 7


def test_what_was_put_back_can_be_applied_after_all(host):
    host.write(7)
    host.apply(300)
    host.clock.advance(300)
    host.apply()
    assert host.hops == 7
    host.crash()
    assert host.start().hops == 7


def test_a_reload_does_not_end_a_trial(host):
    host.write(7)
    host.apply(300)
    assert host.reload().applied == []
    host.write(8)
    assert host.reload().applied == ["limits.hops"]
    host.clock.advance(300)
    assert host.hops == 50


def test_mistakes_apply_nothing_and_begin_no_trial(host):
    for more in ("hops", "[limits]"):
        host.write(7, more)
        with pytest.raises(ConfigurationError):
            host.apply(300)
    assert host.hops == 50 and not host.clock.getDelayedCalls()
    assert host.states() == [(1, "start", "in use")]


def test_another_data_directory_is_no_trial(host):
    host.file.write_text(host.file.read_text().replace('"data"', '"other"'))
    with pytest.raises(ConfigurationError, match="another one cannot be tried"):
        host.apply(300)
    assert host.states() == [(1, "start", "in use")]


def test_what_cannot_be_put_back_yet_is_tried_again(host, tmp_path):
    host.write(7)
    host.apply(300)
    first = tmp_path / "data" / "config-versions" / "000001.toml"
    text = first.read_bytes()
    first.write_bytes(b"damaged")
    host.clock.advance(300)
    assert host.hops == 7
    first.write_bytes(text)
    host.clock.advance(AGAIN)
    assert host.hops == 50


def unreadable(monkeypatch, code=24):
    """Have the state of versions not be readable for the moment, as where there are too many open files."""
    real = Path.open

    def opened(self, *args, **more):
        if self.name == "state.json":
            raise OSError(code, "Too many open files", str(self))
        return real(self, *args, **more)

    monkeypatch.setattr(Path, "open", opened)


def test_a_trial_ends_also_when_its_state_cannot_be_read_for_a_moment(host):
    host.write(7)
    host.apply(300)
    with pytest.MonkeyPatch.context() as patch:
        unreadable(patch)
        host.clock.advance(300)
        for asked in (host.applying.versions(), host.applying.confirm(), host.applying.compare(1)):
            with pytest.raises(ConfigurationError, match="Too many open files"):
                run_now(asked)
        with pytest.raises(ConfigurationError, match="Too many open files"):
            host.apply()
    assert host.hops == 7
    host.clock.advance(AGAIN)
    assert host.hops == 50
    assert [number for number, _, _ in host.states()] == [1, 2]


def test_a_full_disk_applies_nothing_and_the_trial_goes_on(host):
    host.write(7)
    host.apply(300)
    host.write(8)
    with pytest.MonkeyPatch.context() as patch:

        def full(descriptor):
            raise OSError(28, "No space left on device")

        patch.setattr("os.fsync", full)
        with pytest.raises(ConfigurationError, match="No space left"):
            host.apply()
    assert host.hops == 7
    host.clock.advance(300)
    assert host.hops == 50


def test_what_was_applied_and_has_a_mistake_leaves_the_trial_as_it_was(host, monkeypatch):
    host.write(7)
    host.apply(300)
    host.write(8)

    async def refusing(read):
        read()
        return Changes([], [], ["domain: the store cannot be written"])

    with monkeypatch.context() as patch:
        patch.setattr(host.applying._reloading, "take", refusing)
        with pytest.raises(ConfigurationError, match="the store cannot be written"):
            host.apply()
    assert [number for number, _, _ in host.states()] == [1, 2]
    host.clock.advance(300)
    assert host.hops == 50


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_server_starts_with_the_file_where_the_one_to_put_back_is_of_no_use(host, tmp_path, restarts):
    """The trial ended while the server was down, and what was before refers to what is no longer there."""
    host.write(7)
    host.apply(300)
    host.crash()
    host.clock.advance(300)
    (tmp_path / "data" / "config-versions" / "000001.toml").write_bytes(b"damaged")
    for _ in range(restarts):
        assert host.start().hops == 7
        host.crash()


def test_a_server_that_was_put_back_starts_when_that_version_is_lost(host, tmp_path):
    host.write(7)
    host.apply(300)
    host.clock.advance(300)
    host.crash()
    (tmp_path / "data" / "config-versions" / "000001.toml").unlink()
    assert host.start().hops == 7
    host.crash()
    host.write(7, "[limits]")
    host.file.write_text(host.file.read_text().replace("hops = 7", "hops = x"))
    with pytest.raises(ConfigurationError):
        host.start()


def test_what_is_different_is_told_of_the_file_and_of_versions(host):
    host.write(7, "[search]\nindex = false\n")
    found = run_now(host.applying.compare(0))
    assert found["other"] == str(host.file)
    assert found["differences"] == [
        {"key": "search.index", "running": "true", "other": "false", "live": False},
        {"key": "limits.hops", "running": "50", "other": "7", "live": True},
    ]
    assert host.apply()["needs_restart"] == ["search.index"]
    assert run_now(host.applying.compare(1))["differences"] == [
        {"key": "limits.hops", "running": "7", "other": "50", "live": True}
    ]
    with pytest.raises(ConfigurationError, match="no version 9"):
        run_now(host.applying.compare(9))


def test_a_demonstration_has_no_versions(tmp_path):
    clock = Clock()
    source = ConfigSource(None, tmp_path)
    chosen = source.choose(0.0)
    applying = ConfigApplying(source, chosen, Holder(chosen.config), None, clock, CallingThread())
    run_now(applying.start())
    for asked in (applying.compare(0), applying.apply(0.0), applying.confirm(), applying.versions()):
        with pytest.raises(ConfigurationError, match="no configuration file"):
            run_now(asked)
    assert not list(tmp_path.iterdir())
