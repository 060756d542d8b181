"""Renewal from look to look: what is due, what fails, and what a crash leaves at each step."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from test_acme_keys import issue
from twisted.internet.task import Clock

from mailnode.acme.authority import Order
from mailnode.acme.files import AcmeFiles
from mailnode.acme.keys import read_leaf
from mailnode.acme.renewal import PINS, CertificateRenewal
from mailnode.acme.rollover import Rollover
from mailnode.acme.schedule import DAY, FIRST_RETRY, RenewalWindow
from mailnode.errors import CertificateFailed
from mailnode.interfaces.dns import DnsAnswer
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.values.acme import AcmeSettings
from mailnode.values.dns_update import UpdateServer

NOW = 1.8e9
DIRECTORY, STAGING = "https://ca.example/directory", "https://staging.example/directory"
HOST = "mx.example.org"
TLSA = f"_25._tcp.{HOST}"


class Killed(BaseException):
    """The process ends here."""


class World:
    """An authority, DNS, and the machine around a renewal."""

    def __init__(self, folder, **settings) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.folder = folder
        self.settings = AcmeSettings(DIRECTORY, (HOST,), **settings)
        self.steps_left: int | None = None  # until the process is killed
        self.placed: list[tuple[str, str]] = []  # orders: directory, and what they replace
        self.issued: list[str] = []  # directories
        self.orders: dict[str, str] = {}  # by URL: status
        self.trouble: dict[str, CertificateFailed] = {}  # by directory
        self.suggested: list[RenewalWindow | CertificateFailed] = []
        self.asked = 0
        self.pinned: list[str] | None = []  # digests; None: DNS does not say
        self.pinned_otherwise: tuple[str, ...] = ()  # records
        self.changes: list = []
        self.shown = 0
        self.gone_wrong = ""  # an order
        self.days = 90.0  # of a certificate
        self.refused_keys: tuple[type, ...] = ()
        self.files = AcmeFiles(folder)

    def step(self) -> None:
        """Something that can be the last thing done."""
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise Killed
            self.steps_left -= 1

    # what it is made of

    async def run(self, pool, function, *args):
        self.step()
        return await CallingThread().run(pool, function, *args)

    async def ask(self, questions):
        values = (*(f"3 1 1 {digest}" for digest in self.pinned or ()), *self.pinned_otherwise)
        return {one: DnsAnswer(values, failed=self.pinned is None, ttl=300) for one in questions}

    async def update(self, server, change):
        self.changes.append(change)
        self.pinned += [one.value.split()[3] for one in change.add]
        for one in change.remove:
            self.pinned.remove(one.value.split()[3])

    def look_shown(self) -> None:
        self.step()
        self.shown += 1

    def renewal(self) -> CertificateRenewal:
        """The process as it starts."""
        rollover = Rollover(self.settings, self, self)
        return CertificateRenewal(
            self.settings, self.files, rollover, lambda url: FakeOrdering(self, url), self, self.clock, self.look_shown
        )

    def leaf(self, kind="ecdsa"):
        return read_leaf(self.files.certificate(kind))


class FakeOrdering:
    def __init__(self, world: World, directory: str) -> None:
        self.world, self.directory = world, directory

    async def authority(self):
        return self

    suggests = True

    def renewal_window(self, certificate):
        self.world.asked += 1
        answer = self.world.suggested.pop(0) if self.world.suggested else CertificateFailed("it says nothing")
        if isinstance(answer, CertificateFailed):
            raise answer
        return answer

    async def place(self, names, replaces):
        self.world.step()
        url = f"{self.directory}/{len(self.world.orders)}"
        self.world.placed.append((self.directory, replaces))
        self.world.orders[url] = "pending"
        return self.order(url)

    async def look(self, url):
        self.world.step()
        return self.order(url)

    def order(self, url):
        return Order(url, self.world.orders[url], (), "", "", "", 0.0)

    async def complete(self, order, names, key):
        if order.url == self.world.gone_wrong:
            raise CertificateFailed("its proof was not accepted")
        if isinstance(load_pem_private_key(key, None), self.world.refused_keys):
            raise CertificateFailed("it does not like this key")
        if self.directory in self.world.trouble:
            self.world.orders[order.url] = "invalid"
            raise self.world.trouble[self.directory]
        self.world.step()
        if self.world.orders[order.url] != "valid":
            self.world.orders[order.url] = "valid"
            self.world.issued.append(self.directory)
        self.world.step()
        return issue(
            key, *names, begin=self.world.clock.seconds(), days=self.world.days, serial=len(self.world.issued) + 1
        )


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "acme")


def look(world: World, renewal: CertificateRenewal | None = None) -> CertificateRenewal:
    renewal = renewal or world.renewal()
    run_now(renewal.look(world.clock.seconds()))
    return renewal


def test_the_first_look_gets_one_and_the_next_do_nothing(world):
    renewal = look(world)
    assert (world.issued, world.shown) == ([DIRECTORY], 1)
    for _ in range(5):
        world.clock.advance(60)
        look(world, renewal)
    look(world)  # after a start
    assert (world.issued, world.shown) == ([DIRECTORY], 1)
    [standing] = renewal.standing().certificates
    assert (standing.names, standing.not_after) == ((HOST,), NOW + 90 * DAY)
    assert standing.renew_at == pytest.approx(NOW + 60 * DAY)


def test_it_is_renewed_after_two_thirds_and_says_what_it_replaces(world):
    renewal = look(world)
    first = world.leaf()
    world.clock.advance(60 * DAY - 60)
    look(world, renewal)
    assert len(world.issued) == 1
    world.clock.advance(61)
    look(world, renewal)
    assert len(world.issued) == 2 and world.leaf().key_digest != first.key_digest
    assert world.placed == [(DIRECTORY, ""), (DIRECTORY, first.id)]


def test_other_names_are_due_at_once(world):
    look(world)
    world.settings = AcmeSettings(DIRECTORY, (HOST, "imap.example.org"))
    look(world)
    assert world.leaf().names == {HOST, "imap.example.org"}


def test_two_kinds_of_keys(tmp_path):
    world = World(tmp_path / "acme", kinds=("ecdsa", "rsa"))
    renewal = look(world)
    assert [one.kind for one in renewal.standing().certificates] == ["ecdsa", "rsa"]
    assert world.leaf("rsa").key_digest != world.leaf("ecdsa").key_digest
    assert len(renewal.next_digests()) == 2


def test_a_kind_that_keeps_failing_does_not_hold_the_other_back(tmp_path):
    world = World(tmp_path / "acme", kinds=("rsa", "ecdsa"))
    world.refused_keys = (rsa.RSAPrivateKey,)
    renewal = look(world)
    assert world.issued == []
    world.clock.advance(2 * FIRST_RETRY)
    look(world, renewal)
    assert len(world.issued) == 1 and world.files.certificate("ecdsa")
    standing = renewal.standing()
    assert (standing.trouble, standing.failures) == ("it does not like this key", 2)
    world.clock.advance(4 * FIRST_RETRY)
    world.refused_keys = ()
    look(world, renewal)
    assert len(world.issued) == 2 and renewal.standing().trouble == ""


def test_a_damaged_certificate_is_got_anew(world):
    look(world)
    (world.folder / "ecdsa.pem").write_bytes(b"damaged")
    look(world)
    assert world.issued == [DIRECTORY] * 2 and world.leaf().names == {HOST}


# Renewal information


def test_the_authority_says_when_and_is_asked_again_when_it_wants(world):
    renewal = look(world)
    world.suggested = [RenewalWindow(NOW + 10 * DAY, NOW + 11 * DAY, 7200.0, "https://why.example")]
    world.clock.advance(6 * 3600 + 1)  # at the first look it said nothing
    look(world, renewal)
    [standing] = renewal.standing().certificates
    assert NOW + 10 * DAY <= standing.renew_at <= NOW + 11 * DAY and "https://why.example" in standing.why
    # The same window leaves the time that was chosen, also after a start; another one chooses another.
    asked = world.asked
    world.clock.advance(7000)
    world.suggested = [RenewalWindow(NOW + 10 * DAY, NOW + 11 * DAY, 7200.0)]
    renewal = look(world)
    assert (world.asked, renewal.standing().certificates[0].renew_at) == (asked, standing.renew_at)
    world.clock.advance(201)
    look(world, renewal)
    assert (world.asked, renewal.standing().certificates[0].renew_at) == (asked + 1, standing.renew_at)
    world.suggested = [RenewalWindow(NOW - 2 * DAY, NOW - DAY)]
    world.clock.advance(7201)
    look(world, renewal)
    assert len(world.issued) == 2  # at once: the window is over


def test_an_authority_that_always_wants_it_renewed_at_once_is_not_followed_every_minute(world):
    renewal = look(world)
    world.suggested = [RenewalWindow(NOW - 2 * DAY, NOW - DAY)] * 100
    for _ in range(60):
        world.clock.advance(60)
        look(world, renewal)
    assert 1 < len(world.issued) <= 7


def test_a_certificate_that_is_due_as_soon_as_it_is_there_is_used_and_told_and_not_ordered_every_minute(world):
    world.days = 1e-6
    renewal = look(world)
    assert "at once" in renewal.standing().trouble and world.shown == 1
    for _ in range(60):
        world.clock.advance(60)
        look(world, renewal)
    assert len(world.issued) <= 4


def test_nobody_is_asked_about_a_certificate_that_has_expired(world):
    look(world)
    world.clock.advance(91 * DAY)
    world.trouble[DIRECTORY] = CertificateFailed("down")
    world.asked = 0
    look(world)
    assert world.asked == 0


# What fails


def test_a_failure_keeps_the_certificate_is_told_and_waited_for(world):
    renewal = look(world)
    first = world.files.certificate("ecdsa")
    world.clock.advance(61 * DAY)
    world.trouble[DIRECTORY] = CertificateFailed("it refuses")
    for failures in range(1, 4):
        look(world, renewal)
        look(world, renewal)
        standing = renewal.standing()
        assert (standing.trouble, standing.failures) == ("it refuses", failures)
        wait = standing.next_try - world.clock.seconds()
        assert 0.9 <= wait / (FIRST_RETRY * 2 ** (failures - 1)) <= 1.1
        look(world)  # a start is no reason to try again
        world.clock.advance(wait)
    assert world.files.certificate("ecdsa") == first and len(world.placed) == 4
    world.trouble.clear()
    look(world, renewal)
    assert (renewal.standing().trouble, renewal.standing().failures) == ("", 0) and len(world.issued) == 2


def test_the_authority_is_not_asked_before_it_wants(world):
    world.trouble[DIRECTORY] = CertificateFailed("too many", 5 * DAY)
    renewal = look(world)
    world.clock.advance(5 * DAY - 60)
    look(world, renewal)
    assert len(world.placed) == 1
    world.clock.advance(61)
    look(world, renewal)
    assert len(world.placed) == 2


def test_a_disk_that_is_full_loses_no_order(world, monkeypatch):
    install = AcmeFiles.install

    def full(*arguments):
        raise CertificateFailed("ecdsa.pem: cannot be written: No space left on device")

    monkeypatch.setattr(AcmeFiles, "install", full)
    renewal = look(world)
    assert "No space" in renewal.standing().trouble and world.shown == 0
    monkeypatch.setattr(AcmeFiles, "install", install)
    world.clock.advance(2 * FIRST_RETRY)
    look(world, renewal)
    assert (len(world.placed), len(world.issued), world.leaf().names) == (1, 1, {HOST})


def test_an_operator_may_be_faster_than_the_first_look(world):
    assert run_now(world.renewal().renew(False)).certificates[0].names == (HOST,)


def test_an_operator_need_not_wait(world):
    world.trouble[DIRECTORY] = CertificateFailed("it refuses")
    renewal = look(world)
    with pytest.raises(CertificateFailed, match="it refuses"):
        run_now(renewal.renew(False))
    world.trouble.clear()
    assert run_now(renewal.renew(False)).trouble == ""
    run_now(renewal.renew(False))
    assert len(world.issued) == 1
    run_now(renewal.renew(True))
    assert len(world.issued) == 2


@pytest.mark.parametrize("step", [-400 * DAY, 400 * DAY])
def test_a_clock_that_steps(world, step):
    """What is waited for until a moment that a wrong clock said is not waited for."""
    world.clock.rightNow += step
    world.trouble[DIRECTORY] = CertificateFailed("it refuses")
    renewal = look(world)
    world.clock.rightNow -= step
    world.trouble.clear()
    look(world, renewal)
    world.clock.advance(FIRST_RETRY * 1.1 if step < 0 else 0)
    look(world, renewal)
    assert world.leaf().names == {HOST}


# The staging directory


def test_the_first_order_goes_to_the_staging_directory(tmp_path):
    world = World(tmp_path / "acme", staging=STAGING)
    world.trouble[STAGING] = CertificateFailed("it does not see the proof", 60.0)
    renewal = look(world)
    assert "at the staging directory: it does not see the proof" in renewal.standing().trouble
    assert [directory for directory, _ in world.placed] == [STAGING]
    world.trouble.clear()
    run_now(renewal.renew(False))
    run_now(renewal.renew(True))
    assert world.issued == [STAGING, DIRECTORY, DIRECTORY]
    world.settings = AcmeSettings(DIRECTORY, (HOST, "imap.example.org"), staging=STAGING)
    look(world)
    assert world.issued[3:] == [STAGING, DIRECTORY]


def test_what_keeps_failing_goes_back_to_the_staging_directory(tmp_path):
    world = World(tmp_path / "acme", staging=STAGING)
    world.trouble[DIRECTORY] = CertificateFailed("it refuses")
    renewal = look(world)
    for _ in range(2):
        with pytest.raises(CertificateFailed):
            run_now(renewal.renew(False))
    assert [directory for directory, _ in world.placed] == [STAGING, DIRECTORY, DIRECTORY, STAGING, DIRECTORY]


# Killed


def test_killed_at_each_step_it_goes_on_and_orders_nothing_twice(tmp_path):
    for steps in range(100):
        world = World(tmp_path / str(steps))
        world.steps_left = steps
        try:
            look(world)
            ended = True
        except Killed:
            ended = False
        world.steps_left = None
        world.clock.advance(5)
        renewal = look(world)
        leaf = world.leaf()
        assert leaf.names == {HOST} and not renewal.standing().trouble, steps
        assert renewal.next_digests() != (leaf.key_digest,), steps
        assert len(world.issued) == 1 and len(world.placed) <= 2, steps
        assert not list(world.folder.glob("*.new")), steps
        if ended:
            assert steps > 10
            return
    raise AssertionError("it never came to its end")


def test_an_order_that_failed_while_nobody_was_there_is_followed_by_another(world):
    world.steps_left = 6
    with pytest.raises(Killed):
        look(world)
    assert len(world.placed) == 1
    world.steps_left = None
    [url] = world.orders
    world.gone_wrong = url
    renewal = look(world)
    assert (len(world.placed), len(world.issued), renewal.standing().failures) == (2, 1, 0)


# Keys that records pin


def test_the_next_key_waits_for_its_record(world):
    renewal = look(world)
    first = world.leaf().key_digest
    [following] = renewal.next_digests()
    world.pinned = [first]
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == first
    assert "is not there yet" in renewal.standing().certificates[0].key_note
    world.pinned = [first, following]
    world.clock.advance(PINS + 1)
    look(world, renewal)
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == first  # resolvers may not have it yet
    world.clock.advance(3601)
    look(world, renewal)
    assert renewal.standing().certificates[0].key_note == ""
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == following


@pytest.mark.parametrize("form", ["3 1 2", "3 1 0"])
def test_the_key_stays_where_a_record_pins_one_in_another_form(world, form):
    renewal = look(world)
    first = world.leaf().key_digest
    world.pinned, world.pinned_otherwise = [first, *renewal.next_digests()], (f"{form} {'ab' * 64}",)
    for _ in range(2):
        look(world, renewal)
        world.clock.advance(2 * DAY)
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == first
    assert "another form" in renewal.standing().certificates[0].key_note
    world.pinned_otherwise = ()
    run_now(renewal.renew(True))
    assert world.leaf().key_digest != first


def test_where_nobody_can_tell_the_key_stays(world):
    renewal = look(world)
    first = world.leaf().key_digest
    world.pinned = None
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == first and "DNS" in renewal.standing().certificates[0].key_note


def test_a_record_that_goes_away_again_is_waited_for_anew(world):
    renewal = look(world)
    first, [following] = world.leaf().key_digest, renewal.next_digests()
    for pinned, advance in (([first, following], 3601), ([first], PINS + 1), ([first, following], PINS + 1)):
        world.pinned = pinned
        look(world, renewal)
        world.clock.advance(advance)
        look(world, renewal)
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == first


def test_records_are_published_and_removed_where_the_zone_may_be_changed(tmp_path):
    world = World(tmp_path / "acme", zones={"example.org": UpdateServer("192.0.2.1", None)})
    renewal = look(world)
    first, [following] = world.leaf().key_digest, renewal.next_digests()
    world.clock.advance(PINS + 1)
    look(world, renewal)
    assert world.changes == []  # nobody has begun to publish any
    world.pinned = [first, "ab" * 32]
    for _ in range(4):
        world.clock.advance(PINS + 1)
        look(world, renewal)
    assert world.pinned == [first, "ab" * 32, following]
    run_now(renewal.renew(True))
    assert world.leaf().key_digest == following
    for _ in range(6):
        world.clock.advance(PINS + 1)
        look(world, renewal)
    # The old one is gone, what somebody else put there stays, and there is another one to come.
    assert world.pinned == ["ab" * 32, following, *renewal.next_digests()]
