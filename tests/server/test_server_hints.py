"""Hints between processes: to everyone but who said it, once a turn, and none to who does not read."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailnode.server.processes.hints import SharedHints


class Wire:
    """A link as the hints see it, straight into another process's hints."""

    def __init__(self):
        self.congested = False
        self.sent = []
        self.into = None

    def tell(self, name, modseqs, queue):
        assert name == "hints"
        self.sent.append((modseqs, queue))
        if self.into is not None:
            self.into(modseqs, queue)


class SharedHintsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.down = [Wire(), Wire()]  # from the first process to two workers
        self.up = [Wire(), Wire()]
        self.first = SharedHints(self.clock, lambda: self.down)
        self.workers = [SharedHints(self.clock, lambda wire=wire: [wire]) for wire in self.up]
        for number, worker in enumerate(self.workers):
            self.down[number].into = lambda m, q, worker=worker, n=number: worker.heard(self.up[n], m, q)
            self.up[number].into = lambda m, q, n=number: self.first.heard(self.down[n], m, q)
        self.heard = []
        for name, hints in (("first", self.first), ("one", self.workers[0]), ("two", self.workers[1])):
            hints.subscribe("bob", lambda modseq, name=name: self.heard.append((name, modseq)))
        self.woken = []
        self.first.on_queue(lambda _: self.woken.append(1))

    def turn(self):
        for _ in range(3):
            self.clock.advance(0)

    def test_every_process_hears_once(self):
        self.workers[0].publish("bob", 5)
        self.assertEqual(self.heard, [("one", 5)])
        self.turn()
        self.assertEqual(sorted(self.heard), [("first", 5), ("one", 5), ("two", 5)])
        self.assertEqual((self.down[0].sent, len(self.down[1].sent)), ([], 1))

    def test_the_first_process_tells_all(self):
        self.first.publish("bob", 7)
        self.turn()
        self.assertEqual(sorted(self.heard), [("first", 7), ("one", 7), ("two", 7)])

    def test_the_newest_of_a_turn_goes_out(self):
        for modseq in (1, 3, 2):
            self.first.publish("bob", modseq)
        self.first.publish("eve", 9)
        self.turn()
        self.assertEqual(self.down[0].sent, [({"bob": 3, "eve": 9}, False)])

    def test_one_that_several_published_reaches_them_all(self):
        self.workers[0].publish("bob", 1)
        self.workers[1].publish("bob", 2)
        self.turn()
        self.assertIn(("one", 2), self.heard)
        self.assertIn(("first", 2), self.heard)

    def test_who_reads_slowly_gets_none(self):
        self.down[0].congested = True
        self.first.publish("bob", 1)
        self.turn()
        self.assertEqual((self.down[0].sent, len(self.down[1].sent)), ([], 1))
        self.down[0].congested = False
        self.turn()
        self.assertEqual(self.down[0].sent, [])

    def test_the_queue_is_woken_where_it_runs_and_nobody_else_is_told(self):
        self.workers[1].wake_queue()
        self.turn()
        self.assertEqual((self.woken, self.down[0].sent, self.down[1].sent), ([1], [], []))
        self.first.wake_queue()
        self.turn()
        self.assertEqual((self.woken, self.down[0].sent), ([1, 1], []))
