"""The metrics of several processes on one page."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailnode.net.pickled import dumps
from mailnode.server.processes.pickled import loads
from mailnode.web.merging import lasting, merged, total
from mailnode.web.metrics import SECONDS, Metrics


def made(accepted, is_open, expiry, tries, process="1"):
    metrics = Metrics()
    metrics.count("messages_accepted", accepted)
    metrics.change("sessions_open", is_open, protocol="imap")
    metrics.set("certificate_expiry_seconds", expiry, certificate="mx", fingerprint="f", process=process)
    for seconds in tries:
        metrics.observe("queue_try_seconds", seconds)
    return metrics


def values(page):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_counters_histograms_and_gauges_add_up_and_dates_do_not():
    first, second = made(3, 1, 100.0, [0.01, 3]), made(4, 5, 200.0, [0.01], "2")
    second.count("logins", protocol="pop3", result="succeeded")
    found = values(first.render([loads(dumps(second.snapshot()))])[1])
    assert found["mailnode_messages_accepted_total",] == 7
    assert found["mailnode_sessions_open", "imap"] == 6
    assert found["mailnode_certificate_expiry_seconds", "mx", "f", "1"] == 100
    assert found["mailnode_certificate_expiry_seconds", "mx", "f", "2"] == 200
    assert found["mailnode_logins_total", "pop3", "succeeded"] == 1
    assert found["mailnode_queue_try_seconds_bucket", "0.02"] == 2
    assert found["mailnode_queue_try_seconds_bucket", "+Inf"] == 3 == found["mailnode_queue_try_seconds_count",]
    alone = values(first.render()[1])
    assert found["process_start_time_seconds",] == alone["process_start_time_seconds",]
    assert found["mailnode_messages_accepted_created",] == alone["mailnode_messages_accepted_created",]


def test_alone_it_is_the_page_it_was():
    metrics = made(3, 1, 100.0, [0.3])
    strip = lambda page: [line for line in page.decode().splitlines() if "process_" not in line]  # noqa: E731
    assert strip(metrics.render()[1]) == strip(metrics.render([[]])[1])


def test_of_a_process_that_ended_the_gauges_go():
    left = lasting(made(3, 1, 100.0, [0.3]).snapshot())
    again = lasting(made(4, 2, 100.0, [0.3]).snapshot())
    found = values(made(0, 0, 5.0, []).render([merged([left, again])])[1])
    assert found["mailnode_messages_accepted_total",] == 7
    assert found["mailnode_sessions_open", "imap"] == 0


def test_what_a_process_shows_no_longer_goes():
    metrics = made(0, 0, 5.0, [])
    metrics.clear("certificate_expiry_seconds")
    metrics.set("certificate_expiry_seconds", 6.0, certificate="other", fingerprint="g", process="1")
    found = [key for key in values(metrics.render()[1]) if key[0] == "mailnode_certificate_expiry_seconds"]
    assert found == [("mailnode_certificate_expiry_seconds", "other", "g", "1")]


def test_who_adds_often_finds_the_metric_once():
    metrics = made(0, 0, 5.0, [0.3])
    metrics.count("logins", protocol="pop3", result="succeeded")
    metrics.adder("logins", protocol="pop3", result="succeeded")(2)
    metrics.adder("queue_try_seconds")(7.0)
    found = values(metrics.render()[1])
    assert found["mailnode_logins_total", "pop3", "succeeded"] == 3
    assert found["mailnode_queue_try_seconds_sum",] == 7.3


def test_values_of_who_adds_often_go_where_others_go():
    """At each bound, beside it, and above all of them; looked at twice."""
    metrics = made(0, 0, 5.0, [])
    add = metrics.adder("policy_seconds", policy="often")
    for _ in range(2):
        for value in (0.0, *(bound + beside for bound in SECONDS for beside in (-0.001, 0.0, 0.001)), 1e6):
            add(value)
            metrics.observe("policy_seconds", value, policy="once")
        found = values(metrics.render()[1])
        often, once = (
            {tuple(part for part in key if part != name): found[key] for key in found if name in key}
            for name in ("often", "once")
        )
        for made_at in (often, once):
            del made_at["mailnode_policy_seconds_created",]
        assert often == pytest.approx(once) and len(often) > len(SECONDS)


def test_a_counter_of_all_processes_with_some_of_its_labels():
    first, second = Metrics(), Metrics()
    for metrics, protocol, result in (
        (first, "imap", "refused"),
        (first, "imap", "succeeded"),
        (second, "pop3", "refused"),
    ):
        metrics.count("logins", protocol=protocol, result=result)
    snapshots = [first.snapshot(), second.snapshot()]
    assert total(snapshots, "logins", result="refused") == 2
    assert total(snapshots, "logins", result="refused", protocol="pop3") == 1
    assert total([], "logins", result="refused") == 0
