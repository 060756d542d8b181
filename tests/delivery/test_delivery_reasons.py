"""Why mail waits, in a word: what each trouble of a try is called."""

from __future__ import annotations

from typing import Any

import pytest
from test_delivery_remote import LATER, NEVER, OK, A, RemoteCase, fails, reply

from mailnode.delivery.remote import _failure_reason
from mailnode.interfaces.outbound import Target, TargetFailed, TlsRule
from mailnode.values.reason import WaitReason, tls_reason
from mailnode.values.smtp_reply import Reply


class ReasonTests(RemoteCase):
    def reasons(self, **answers: Any) -> list[str]:
        self.serve(**answers)
        return [str(attempt.reason) for attempt in self.attempt().attempts]

    def test_what_was_sent_has_none(self) -> None:
        self.assertEqual(self.reasons(a=OK), [""])

    def test_what_servers_say(self) -> None:
        self.assertEqual(self.reasons(a=LATER, b=LATER), ["refused"])
        self.assertEqual(self.reasons(a=NEVER), ["refused"])
        self.assertEqual(self.reasons(a=reply("421 4.7.0 go"), b=reply("421 4.7.0 go")), ["slow-down"])
        self.assertEqual(self.reasons(a=reply("450 4.7.1 too many"), b=reply("450 4.7.1 too many")), ["slow-down"])

    def test_that_nobody_answers(self) -> None:
        self.assertEqual(self.reasons(a=fails("connect"), b=fails("connect")), ["unreachable"])
        self.assertEqual(self.reasons(a=fails("lost"), b=fails("lost")), ["lost"])
        self.assertEqual(self.reasons(a=fails("loop"), b=fails("loop")), ["loop"])

    def test_that_there_is_nobody(self) -> None:
        self.zone.mx_data["d.example"] = [(0, "")]
        self.assertEqual(self.reasons(), ["refused"])
        self.zone.mx_data["d.example"] = [(10, "nowhere.example")]
        self.assertEqual(self.reasons(), ["dns"])
        self.zone.mx_data["d.example"] = [(10, "mail.here.example")]
        self.assertEqual(self.reasons(), ["loop"])


@pytest.mark.parametrize(
    ("failed", "rule", "reason"),
    [
        (TargetFailed("connect", "timed out"), None, "timeout"),
        (TargetFailed("lost", "timed out waiting for it"), None, "timeout"),
        (TargetFailed("greeting", "no", Reply(554, "5.7.1", ("timed out",))), None, "refused"),
        (TargetFailed("greeting", "no", Reply(421, "4.7.0", ("busy",))), None, "slow-down"),
        (TargetFailed("tls", "timed out in the TLS handshake"), None, "tls"),
        (TargetFailed("tls", "old", result="certificate-expired"), TlsRule("sts"), "certificate-expired"),
        (TargetFailed("tls", "none", result="starttls-not-supported"), TlsRule("dane"), "starttls-not-supported"),
    ],
)
def test_what_is_wrong_with_a_server(failed: TargetFailed, rule: TlsRule | None, reason: str) -> None:
    assert _failure_reason(Target("a.example", A, 25, "required", rule=rule), failed) == reason


def test_under_requiretls_all_trouble_with_tls_is_that() -> None:
    target = Target("a.example", A, 25, "verified", rule=TlsRule("sts"), require_tls=True)
    assert _failure_reason(target, TargetFailed("tls", "x", result="certificate-expired")) == WaitReason.REQUIRETLS


def test_a_result_nobody_named_is_a_failure_of_validation() -> None:
    assert tls_reason("made-up") == tls_reason("") == WaitReason.VALIDATION_FAILURE
