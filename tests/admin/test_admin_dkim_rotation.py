"""Keys that sign are made, put to use and given up by what DNS says, and by the clock."""

from dataclasses import replace

import pytest
from twisted.logger import globalLogPublisher

from mailnode.admin import dkim_rotation
from mailnode.admin.dkim import domain_dkim, domain_dkim_rotate
from mailnode.admin.dkim_rotation import FAILED, DkimRotation
from mailnode.admin.published import domain_records
from mailnode.config.demo import demo_config
from mailnode.errors import StoreUnavailable
from mailnode.interfaces.dns import DnsAnswer
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.dkim import DkimSettings

DOMAIN = "mailnode.test"
START, HOUR, DAY = 1_800_000_000.0, 3600.0, 86_400.0


class Clock:
    now = START

    def seconds(self):
        return self.now


class Dns:
    """Answers what a test published."""

    def __init__(self):
        self.zone, self.ttl, self.failing, self.asked = {}, 300, False, 0

    async def ask(self, questions):
        self.asked += len(questions)
        return {one: self._answer(one) for one in questions}

    def _answer(self, question):
        if self.failing:
            return DnsAnswer(failed=True)
        values = tuple(self.zone.get(question.name, ()))
        return DnsAnswer(values, ttl=self.ttl if values else 0)


class House:
    """A domain of the configuration, and all that looks after its keys."""

    def __init__(self, admin):
        self.settings, self.dns, self.clock = DkimSettings(), Dns(), Clock()
        self.admin = replace(admin, dns=self.dns, clock=self.clock, dkim_settings=lambda: self.settings)
        self.rotation = DkimRotation(self.admin)
        self.events = []

    def look(self, after=0.0):
        self.clock.now += after
        run_now(self.rotation.look(self.clock.now))

    def listed(self):
        return run_now(domain_dkim(self.admin, DOMAIN))

    def states(self):
        return {key["selector"]: key["state"] for key in self.listed()}

    def publish(self, *selectors):
        for key in self.listed():
            if key["selector"] in selectors:
                self.dns.zone[key["name"]] = [key["text"]]

    def logged(self, name):
        return [event["fields"] for event in self.events if event.get("event") == name]


@pytest.fixture
def house(tmp_path):
    with administration(demo_config(tmp_path / "data")) as admin:
        house = House(admin)
        globalLogPublisher.addObserver(house.events.append)
        yield house
        globalLogPublisher.removeObserver(house.events.append)


@pytest.fixture
def rotated(house):
    """One with a pair that signs and the next one made; their selectors."""
    run_now(house.rotation.begin())
    old = list(house.states())
    house.clock.now += DAY
    run_now(domain_dkim_rotate(house.admin, DOMAIN))
    house.old, house.new = old, [selector for selector in house.states() if selector not in old]
    return house


def test_a_domain_of_the_configuration_signs_from_the_first_start_on(house):
    run_now(house.rotation.begin())
    assert list(house.states().values()) == ["active", "active"]
    made = house.states()
    run_now(house.rotation.begin())
    house.look()
    assert house.states() == made and len(house.logged("dkim.made")) == 1


def test_where_there_are_many_the_first_look_makes_the_rest(house, monkeypatch):
    monkeypatch.setattr(dkim_rotation, "AT_START", 1)
    run_now(house.admin.directory.add_domain("a.test"))
    run_now(house.rotation.begin())
    assert len(house.logged("dkim.made")) == 1
    house.look()
    assert len(house.logged("dkim.made")) == 2 and house.states()


def test_without_signatures_nothing_is_done(house):
    house.settings = DkimSettings(enabled=False)
    run_now(house.rotation.begin())
    house.look()
    assert house.states() == {}


def test_a_store_that_cannot_be_written_does_not_stop_the_start(house):
    class Full:
        async def domains(self):
            raise StoreUnavailable

    house.rotation = DkimRotation(replace(house.admin, directory=Full()))
    run_now(house.rotation.begin())
    with pytest.raises(StoreUnavailable):
        house.look()


def test_a_key_signs_when_its_record_was_there_for_an_hour(rotated):
    rotated.look()
    assert "publish its record: it signs when DNS has it" in [key["todo"] for key in rotated.listed()]
    rotated.publish(*rotated.new)
    rotated.look()
    assert [key["todo"] for key in rotated.listed()][2:] == ["signs from 2027-01-16T09:00:00Z on"] * 2
    rotated.look(HOUR - 1)
    assert set(rotated.states().values()) == {"active", "next"}
    rotated.look(1)
    assert rotated.states() == dict.fromkeys(rotated.old, "retired") | dict.fromkeys(rotated.new, "active")
    [event] = rotated.logged("dkim.activated")
    assert (event["selectors"], event["retired"]) == (",".join(rotated.new), ",".join(rotated.old))


def test_a_long_time_to_live_is_waited_for(rotated):
    rotated.dns.ttl = 6 * 3600
    rotated.publish(*rotated.new)
    rotated.look()
    rotated.dns.ttl = 60  # what a resolver remembers has less and less of it
    rotated.look(6 * HOUR - 1)
    assert "next" in rotated.states().values()
    rotated.look(1)
    assert "next" not in rotated.states().values()


def test_a_record_that_goes_away_begins_anew(rotated):
    rotated.publish(*rotated.new)
    rotated.look()
    published = dict(rotated.dns.zone)
    rotated.dns.zone.clear()
    rotated.look(HOUR)
    rotated.dns.zone.update(published)
    rotated.look(1)
    assert "next" in rotated.states().values()
    rotated.look(HOUR)
    assert "next" not in rotated.states().values()


def test_no_answer_changes_nothing(rotated):
    rotated.publish(*rotated.new)
    rotated.look()
    rotated.dns.failing = True
    rotated.look(HOUR)
    assert "next" in rotated.states().values()
    rotated.dns.failing = False
    rotated.look()
    assert "next" not in rotated.states().values()


@pytest.mark.parametrize("text", ["v=DKIM1; k=rsa; p=", "v=DKIM1; k=rsa; p=QUFB", "a text"])
def test_another_key_in_dns_is_not_ours(rotated, text):
    rotated.publish(*rotated.new)
    for name in rotated.dns.zone:
        rotated.dns.zone[name] = [text]
    rotated.look()
    rotated.look(HOUR)
    assert "next" in rotated.states().values()


def test_one_of_two_records_lets_one_key_sign(rotated):
    rotated.publish(rotated.new[0])
    rotated.look()
    rotated.look(HOUR)
    assert list(rotated.states().values()) == ["retired", "active", "active", "next"]


def test_by_hand_means_by_hand(rotated):
    rotated.settings = DkimSettings(by_dns=False)
    rotated.publish(*rotated.new)
    rotated.look()
    rotated.look(DAY)
    assert "next" in rotated.states().values() and rotated.dns.asked == 0
    assert "mailnode domain dkim-activate" in rotated.listed()[2]["todo"]


def test_an_operator_who_is_faster_than_dns_has_his_way(rotated):
    rotated.publish(*rotated.new)
    rotated.look()
    answer = rotated.dns._answer

    def removed_meanwhile(question):
        for selector in rotated.new:
            run_now(rotated.admin.directory.remove_dkim_key(DOMAIN, selector))
        return answer(question)

    rotated.dns._answer = removed_meanwhile
    rotated.look(HOUR)
    assert rotated.states() == dict.fromkeys(rotated.old, "active")


def test_the_record_of_a_retired_key_is_told_of_and_the_key_goes_with_it(rotated):
    rotated.publish(*rotated.new, *rotated.old)
    rotated.look()
    rotated.look(HOUR)
    assert rotated.listed()[0]["todo"] == "leave its record in DNS until 2027-01-23T09:00:00Z"
    rotated.look(7 * DAY - 1)
    assert not rotated.logged("dkim.spent")
    rotated.look(1)
    assert [event["record"] for event in rotated.logged("dkim.spent")] == [
        f"{selector}._domainkey.{DOMAIN}" for selector in rotated.old
    ]
    assert rotated.listed()[0]["todo"] == "take its record out of DNS"
    proposed = run_now(domain_records(rotated.admin, DOMAIN))["records"]
    assert [one["name"].partition(".")[0] for one in proposed if "_domainkey" in one["name"]] == rotated.new
    rotated.look(HOUR)
    assert list(rotated.states().values()) == ["spent", "spent", "active", "active"]
    del rotated.dns.zone[f"{rotated.old[0]}._domainkey.{DOMAIN}"]
    rotated.look(HOUR)
    assert list(rotated.states().values()) == ["spent", "active", "active"]
    assert [event["selector"] for event in rotated.logged("dkim.removed")] == [rotated.old[0]]


def test_the_last_keys_of_a_domain_that_is_not_to_sign_stay(rotated):
    states = dict.fromkeys([*rotated.old, *rotated.new], "retired")
    run_now(rotated.admin.directory.set_dkim_states(DOMAIN, states, 0.0))  # as an earlier version did
    rotated.look()
    rotated.look(7 * DAY - 1)
    assert set(rotated.states().values()) == {"retired"}
    rotated.look(1)
    rotated.look(DAY)
    assert set(rotated.states().values()) == {"spent"} and len(rotated.states()) == 4


def test_keys_are_replaced_by_age_where_that_is_wanted(house):
    run_now(house.rotation.begin())
    house.look(400 * DAY)
    assert len(house.states()) == 2
    house.settings = DkimSettings(rotate_after=400 * DAY)
    house.look()
    house.look(DAY)
    assert list(house.states().values()) == ["active", "active", "next", "next"]
    assert house.logged("dkim.made")[-1]["state"] == "next"


def test_a_look_ends_when_dns_says_nothing_and_when_the_server_does(house):
    directory = house.admin.directory
    for number in range(FAILED + 5):
        run_now(directory.add_domain(f"d{number}.test"))
    house.look()
    for domain in run_now(directory.domains()):
        run_now(domain_dkim_rotate(house.admin, domain.name))
    house.dns.failing = True
    house.look()
    assert house.dns.asked == 2 * FAILED
    house.dns.failing, house.dns.asked = False, 0
    house.look()
    assert house.dns.asked == 2 * (FAILED + 6)
    house.rotation.stop()
    house.look()
    assert house.dns.asked == 2 * (FAILED + 6)
