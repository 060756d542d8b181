"""Frames, what may travel in them, and the link: answers, errors, bounds, back-pressure, the end."""

import os
import pickle
from ipaddress import ip_network
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailnode.config.demo import demo_config
from mailnode.config.schema import Config
from mailnode.config.sieve import Sieve
from mailnode.errors import NoSuchMailbox, OverQuota, Refused, StoreUnavailable
from mailnode.net.frames import MAX_FRAME, FrameReader, FrameTooLong, frame
from mailnode.net.pickled import NotAllowed, dumps
from mailnode.server.processes import link as link_module
from mailnode.server.processes.handover import Clients, HandedSocket, Handover, LogPlace, Served
from mailnode.server.processes.link import ProcessLink
from mailnode.server.processes.pickled import error_as_value, loads, value_as_error
from mailnode.store.units import accounts
from mailnode.store.units.queue_leases import LeaseLost
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.directory import Account

PAYLOADS = [b"", b"a", b"hello" * 100, b"\0" * 70_000, b"end"]
STREAM = b"".join(frame(payload) for payload in PAYLOADS)


@pytest.mark.parametrize("step", [1, 3, 4, 5, 1000, 65_536, len(STREAM)])
def test_frames_come_out_whole_however_the_octets_come(step):
    reader = FrameReader()
    pieces = [STREAM[start : start + step] for start in range(0, len(STREAM), step)]
    assert [payload for piece in pieces for payload in reader.receive(piece)] == PAYLOADS


def test_a_frame_in_the_making_waits_with_what_follows():
    reader = FrameReader()
    assert reader.receive(STREAM[:-1]) == PAYLOADS[:-1]
    assert reader.receive(STREAM[-1:] + frame(b"more")[:6]) == PAYLOADS[-1:]
    assert reader.receive(frame(b"more")[6:]) == [b"more"]


def test_a_length_over_the_bound_is_refused_before_its_octets_come():
    with pytest.raises(FrameTooLong):
        FrameReader().receive((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(FrameTooLong):
        frame(bytes(MAX_FRAME + 1))


PLAIN = [
    (1, "x", b"y", None, True, 2.5, [1], {"a": 1}, {1, 2}, frozenset((3,))),
    accounts.provision,
    BlobRef("id", 3, "inline", "zstd", b"d"),
    StagedBlob(BlobRef("id", 3, "inline", "zstd", b"d"), b"data"),
    Account("id", "bob@a.test", "active", "user", 2.0, 3),
    ip_network("10.0.0.0/8"),
    Path("/x"),
    Handover(
        2,
        Served(1, demo_config(Path("/x"), 0), ((b"chain", b"key"),)),
        (HandedSocket(0, 5, 2, 50),),
        Clients(6, b"k", 2, 3),
        LogPlace("lines", 1),
    ),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_travels(value):
    assert loads(dumps(value)) == value


def test_a_staged_blob_leaves_behind_what_it_says():
    travelled = loads(dumps(StagedBlob(BlobRef("id", 3, "inline", "zstd", b"d"), b"data", b"content")))
    assert (travelled.data, travelled.content) == (b"data", b"")


@pytest.mark.parametrize(
    "value",
    [os.system, eval, pickle.loads, ProcessLink, accounts.Transaction.execute, pytest.raises, Deferred],
    ids=lambda value: value.__qualname__,
)
def test_nothing_else_does(value):
    with pytest.raises(NotAllowed):
        loads(pickle.dumps(value))


@pytest.mark.parametrize("name", ["os", "shutil", "Path", "nonesuch", "BlobFile.add"])
def test_what_a_module_of_the_store_imports_does_not_count_as_its_own(name):
    stolen = b"\x80\x05" + b"".join(
        b"\x8c" + bytes([len(text)]) + text for text in (b"mailnode.store.blobs.file", name.encode())
    )
    with pytest.raises(NotAllowed):
        loads(stolen + b"\x93.")


@pytest.mark.parametrize("error", [OverQuota("x"), Refused("5.1.1", "no"), LeaseLost("token"), NoSuchMailbox()])
def test_domain_errors_travel_as_themselves(error):
    travelled = value_as_error(loads(dumps(error_as_value(error))))
    assert type(travelled) is type(error)
    assert travelled.args == error.args and vars(travelled) == vars(error)


def test_any_other_error_is_a_store_that_is_unavailable():
    class Own(OverQuota):
        pass

    for error in (ValueError("secret"), KeyboardInterrupt(), Own()):
        travelled = value_as_error(loads(dumps(error_as_value(error))))
        assert type(travelled) is StoreUnavailable and "secret" not in str(travelled)


class Ends:
    """Two links with a wire between them that carries when it is told."""

    def __init__(self, one, other):
        self.lost = []
        self.links = [ProcessLink(one, lambda: self.lost.append(0)), ProcessLink(other, lambda: self.lost.append(1))]
        self.transports = [StringTransport(), StringTransport()]
        for end, transport in zip(self.links, self.transports, strict=True):
            end.makeConnection(transport)

    def carry(self, step=65_536):
        """Carry everything both ways until nothing moves."""
        moved = True
        while moved:
            moved = False
            for sender, receiver in ((0, 1), (1, 0)):
                data = self.transports[sender].value()
                self.transports[sender].clear()
                for start in range(0, len(data), step):
                    self.links[receiver].dataReceived(data[start : start + step])
                    moved = True

    def cut(self):
        for end in self.links:
            end.connectionLost(Failure(ConnectionDone()))


class LinkTests(SynchronousTestCase):
    def setUp(self):
        self.told = []
        self.pending = []
        handlers = {
            "add": lambda a, b: a + b,
            "told": self.told.append,
            "slow": self.slow,
            "refuse": self.refuse,
            "break": lambda: 1 // 0,
            "unplain": lambda: self,
            "huge": lambda: bytes(MAX_FRAME),
        }
        self.ends = Ends({}, handlers)
        self.link = self.ends.links[0]

    def slow(self, value):
        self.pending.append((Deferred(), value))
        return self.pending[-1][0]

    async def refuse(self):
        raise OverQuota("full")

    def call(self, *args):
        return Deferred.fromCoroutine(self.link.call(*args))

    def test_answers_find_their_calls_in_any_order(self):
        calls = [self.call("slow", number) for number in range(3)]
        self.ends.carry(step=1)
        for deferred, value in reversed(self.pending):
            deferred.callback(value * 10)
        self.ends.carry(step=1)
        self.assertEqual([self.successResultOf(call) for call in calls], [0, 10, 20])
        self.assertEqual(self.link.waiting, 0)

    def test_both_sides_may_ask_and_tell(self):
        self.link.tell("told", {"x": 1})
        call = self.call("add", "a", "b")
        self.ends.carry()
        self.assertEqual((self.told, self.successResultOf(call)), ([{"x": 1}], "ab"))

    def test_errors_are_values(self):
        refused, broken, unknown = self.call("refuse"), self.call("break"), self.call("nonesuch")
        self.ends.carry()
        self.assertEqual(self.failureResultOf(refused, OverQuota).value.args, ("full",))
        self.failureResultOf(broken, StoreUnavailable)
        self.failureResultOf(unknown, StoreUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, KeyError)), 2)
        self.assertEqual(self.ends.lost, [])

    def test_an_answer_that_cannot_travel_fails_its_call_alone(self):
        calls = [self.call("unplain"), self.call("huge"), self.call("add", 1, 2)]
        self.ends.carry()
        self.failureResultOf(calls[0], StoreUnavailable)
        self.failureResultOf(calls[1], StoreUnavailable)
        self.assertEqual(self.successResultOf(calls[2]), 3)
        self.flushLoggedErrors()

    def test_arguments_that_cannot_travel_fail_at_once_and_alone(self):
        self.failureResultOf(self.call("told", lambda: None))
        self.failureResultOf(self.call("told", bytes(MAX_FRAME)), StoreUnavailable)
        self.assertEqual(self.link.waiting, 0)

    def test_the_end_fails_all_that_waits_and_all_that_comes(self):
        waiting = [self.call("slow", number) for number in range(3)]
        self.ends.carry()
        self.ends.cut()
        for call in waiting:
            self.failureResultOf(call, StoreUnavailable)
        self.failureResultOf(self.call("add", 1, 2), StoreUnavailable)
        self.link.tell("told", 1)
        self.pending[0][0].callback("too late")
        self.assertEqual((self.ends.lost, self.ends.transports[1].value()), ([0, 1], b""))

    def test_calls_are_bounded_in_number_and_octets(self):
        self.patch(link_module, "MAX_WAITING", 3)
        calls = [self.call("slow", number) for number in range(4)]
        self.failureResultOf(calls[3], StoreUnavailable)
        self.ends.carry()
        self.pending[0][0].callback(None)
        self.ends.carry()
        self.assertNoResult(self.call("slow", 4))
        self.patch(link_module, "MAX_WAITING", 100)
        self.patch(link_module, "MAX_OCTETS", 1000)
        self.assertNoResult(self.call("slow", b"x" * 1000))
        self.failureResultOf(self.call("slow", 5), StoreUnavailable)

    def test_a_side_with_too_much_under_way_reads_no_more_until_half_is_done(self):
        self.patch(link_module, "MAX_UNDER_WAY", 4)
        states = []
        for number in range(4):
            self.call("slow", number)
            self.ends.carry()
            states.append(self.ends.transports[1].producerState)
        for deferred, _ in list(self.pending):
            deferred.callback(None)
            states.append(self.ends.transports[1].producerState)
        self.assertEqual(states, ["producing"] * 3 + ["paused"] * 2 + ["producing"] * 3)

    def test_it_says_when_the_other_side_reads_slowly(self):
        transport = self.ends.transports[0]
        self.assertIs(transport.producer, self.link)
        transport.producer.pauseProducing()
        self.assertTrue(self.link.congested)
        transport.producer.resumeProducing()
        self.assertFalse(self.link.congested)

    def test_octets_that_are_no_message_end_the_link(self):
        for octets in (frame(b"junk"), frame(pickle.dumps(os.system)), b"\xff" * 4, frame(dumps((2, 99, None, 1)))):
            ends = Ends({}, {})
            ends.links[0].dataReceived(octets)
            self.assertTrue(ends.transports[0].disconnected)
        self.assertEqual(len(self.flushLoggedErrors()), 4)


def sections(model):
    """All models that a model has in its fields, and theirs."""
    yield model
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            one = waiting.pop()
            waiting += get_args(one)
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from sections(one)


def test_a_whole_configuration_can_be_handed_over():
    known = set(sections(Config))
    assert {Config, Sieve} <= known
    for section in known:
        assert loads(dumps(section)) is section
