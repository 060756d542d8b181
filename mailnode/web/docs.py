"""Writes docs/metrics.rst from the table: ``python -m mailnode.web.docs > docs/metrics.rst``."""

from __future__ import annotations

import sys

from mailnode.web.metrics import METRICS, PREFIX

_HEAD = """\
Metrics
=======

.. This page is generated from mailnode/web/metrics.py; change it there.

The http listener serves ``/metrics`` in the text form of Prometheus, and ``/health``: a JSON object with ``status``, with the
HTTP status 200 while the server takes mail ("ok"), and 503 when its store does not answer, or its files were moved away or
replaced beneath it ("store"), when its disk is full, so that mail is refused while reading and deleting go on ("full"),
when something of its store is damaged and all else is served ("damaged": the names of ``files`` of the database, how many things
were ``found`` so when they were read or compared, how many messages are ``set_aside``), until it is mended or somebody says
``mailnode store acknowledge``, and when it is shutting down ("draining"). ``certificates`` beside "ok" says why the last try
to renew one failed. Neither asks
who wants to know: let the listener stand on an address that only the monitoring reaches.

Counters have ``_total`` at the end of their names, as Prometheus wants it. Metrics of the process (``process_...``)
stand beside these:

.. list-table::
   :header-rows: 1

   * - name
     - kind
     - labels
     - what it tells
"""


def render() -> str:
    """Return the whole page."""
    lines = [_HEAD.rstrip()]
    for name, metric in METRICS.items():
        suffix = "_total" if metric.kind == "counter" else ""
        labels = ", ".join(f"``{label}``" for label in metric.labels)
        lines.append(f"   * - ``{PREFIX}{name}{suffix}``\n     - {metric.kind}\n     - {labels}\n     - {metric.help}")
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
