"""Read by each process of a server whose hints are to be dropped: of those published, or heard of others, every other one."""

import os
import random

from mailnode.net.hints import LocalHints
from mailnode.server.processes.hints import SharedHints

_chance = random.Random(os.getpid())
_publish, _heard = LocalHints.publish, SharedHints.heard


def publish(self, account_id, modseq):
    if _chance.random() < 0.5:
        _publish(self, account_id, modseq)


def heard(self, origin, modseqs, queue):
    _heard(self, origin, modseqs if _chance.random() < 0.5 else {}, queue)


LocalHints.publish, SharedHints.heard = publish, heard
