"""Handing mail to scripted servers on 127.0.0.1: every stage, every way of failing."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import trustme
from scripted_smtp import CLOSE, EHLO, HANG, SmtpScript
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, trustRootFromCertificates
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import BlobDamaged
from mailnode.interfaces.outbound import IOutbound, OutboundMessage, OutboundReport, Reached, Target, TargetFailed
from mailnode.net.client_tls import ClientTls
from mailnode.net.outbound import Outbound, OutboundSettings
from mailnode.values.envelope import PLAIN_RCPT, MailOptions

CONTENT = b"Subject: hello\r\n\r\n.dot\r\nbody\r\n"
TLS_EHLO = EHLO.replace("250-DSN", "250-STARTTLS\r\n250-DSN")
QUICK = OutboundSettings(connect=2.0, patience=0.0005)  # 300 s become 0.15 s

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("mx.example")


def server_tls() -> CertificateOptions:
    return PrivateCertificate.loadPEM(CERTIFICATE.private_key_and_cert_chain_pem.bytes()).options()


def message(content: bytes = CONTENT, *recipients: str, **more: Any) -> OutboundMessage:
    async def read(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    rows = tuple((address, PLAIN_RCPT) for address in recipients or ("bob@there.example",))
    source = more.pop("read", read)
    return OutboundMessage("alice@here.example", rows, source, MailOptions(**{"size": len(content), **more}))


class OutboundCase(TestCase):
    def make(self, settings: OutboundSettings | None = None, **more: Any) -> Outbound:
        authority = Certificate.loadPEM(AUTHORITY.cert_pem.bytes())
        tls = ClientTls(trustRootFromCertificates([authority]))
        outbound = Outbound(reactor, "mail.here.example", tls, reactor, settings=settings, **more)
        self.addCleanup(lambda: Deferred.fromCoroutine(outbound.stop()))
        return outbound

    def serve(self, **replies: Any) -> SmtpScript:
        server = SmtpScript(**{verb.replace("DOT", "."): reply for verb, reply in replies.items()})
        server.tls = server_tls()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def target(self, server: SmtpScript, **more: Any) -> Target:
        return Target("mx.example", "127.0.0.1", server.port, **more)

    def run_case(self, case: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(case)

    async def failing(self, outbound: Outbound, target: Target, mail: OutboundMessage | None = None) -> TargetFailed:
        try:
            report = await outbound.send(target, mail or message())
        except TargetFailed as failed:
            return failed
        raise AssertionError(f"sent: {report}")


class SendTests(OutboundCase):
    def test_a_message_arrives_as_it_is(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make()
            verifyObject(IOutbound, outbound)
            mail = message(
                CONTENT, "bob@there.example", "carol@there.example", ret="HDRS", envid="a+b", body="8BITMIME"
            )
            report = await outbound.send(self.target(server), mail)
            self.assertEqual([reply.code for reply in report.replies], [250, 250])
            self.assertTrue(report.remote_dsn)
            self.assertEqual(server.messages, [CONTENT])
            self.assertIn("RET=HDRS", server.said("MAIL")[0])
            self.assertIn("ENVID=a+2Bb", server.said("MAIL")[0])

        return self.run_case(case())

    def test_large_content_streams_whole(self) -> Deferred[Any]:
        content = b"".join(b"%07d .\r\n.\r\n" % number for number in range(80_000))
        reads: list[int] = []

        async def read(offset: int, length: int) -> bytes:
            reads.append(length)
            return content[offset : offset + length]

        async def case() -> None:
            server = self.serve(EHLO="250-mx.example\r\n250 PIPELINING")
            await self.make().send(self.target(server), message(content, read=read))
            self.assertEqual(server.messages, [content])
            self.assertLessEqual(max(reads), 256 * 1024)

        return self.run_case(case())

    def test_a_server_that_reads_slowly_is_not_flooded(self) -> Deferred[Any]:
        """The content is read only as fast as the server takes it: it stops reading, so must we."""
        size = 200 * 1024 * 1024
        asked = [0]
        enough: Deferred[None] = Deferred()

        async def read(offset: int, length: int) -> bytes:
            asked[0] = offset + length
            return b"x" * 998 + b"\r\n"

        def stop_reading(line: bytes) -> str:
            server.open[0].transport.pauseProducing()
            reactor.callLater(0.3, enough.callback, None)
            return "354 go on"

        server = self.serve(DATA=stop_reading, EHLO="250 mx.example")

        async def case() -> None:
            outbound = self.make()
            sending = Deferred.fromCoroutine(outbound.send(self.target(server), message(read=read, size=size)))
            await enough
            self.assertLess(asked[0], 32 * 1024 * 1024)
            self.assertGreater(asked[0], 0)
            sending.cancel()
            with contextlib.suppress(Exception):
                await sending

        return self.run_case(case())

    # SMTP trap 15: as client
    def test_each_recipient_has_its_own_reply(self) -> Deferred[Any]:
        replies = {b"one": "250 2.1.5 ok", b"two": "450 4.2.0 later", b"six": "550 5.1.1 unknown"}

        async def case() -> None:
            for extensions in (EHLO, "250 mx.example"):  # with and without PIPELINING
                server = self.serve(RCPT=lambda line: replies[line[9:12]], EHLO=extensions)
                report = await self.make().send(
                    self.target(server), message(CONTENT, "one@d.example", "two@d.example", "six@d.example")
                )
                self.assertEqual([reply.code for reply in report.replies], [250, 450, 550])
                self.assertEqual([reply.status for reply in report.replies], ["2.0.0", "4.2.0", "5.1.1"])
                self.assertEqual(server.messages, [CONTENT])

        return self.run_case(case())

    # SMTP trap 14: as client, over a socket
    def test_nobody_accepted_sends_nothing(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(RCPT="550 5.1.1 unknown", DATA="503 5.5.1 no recipients")
            report = await self.make().send(self.target(server), message())
            self.assertEqual([reply.code for reply in report.replies], [550])
            self.assertEqual(server.messages, [])

        return self.run_case(case())

    def test_refusals_of_the_whole_message(self) -> Deferred[Any]:
        async def case() -> None:
            for stage in ("MAIL", "DATA", "DOT"):
                for reply in ("451 4.3.0 later", "554 5.6.0 never"):
                    server = self.serve(**{stage: reply})
                    report = await self.make().send(self.target(server), message(CONTENT, "a@d.example", "b@d.example"))
                    self.assertEqual([str(answer) for answer in report.replies], [reply, reply], stage)

        return self.run_case(case())

    def test_a_server_that_calls_itself_what_we_do_is_ourselves(self) -> None:
        async def case() -> None:
            for hello in ("250-MAIL.here.example at your service\r\n250 PIPELINING", "250 mail.here.example"):
                server = self.serve(EHLO=hello)
                failed = await self.failing(self.make(), self.target(server, by_mx=True))
                self.assertEqual((failed.scope, failed.in_doubt, failed.reply), ("loop", False, None))
                self.assertEqual(server.said("MAIL"), [])
                self.assertTrue((await self.make().send(self.target(server), message())).replies[0].is_positive)
            server = self.serve(EHLO="502 5.5.1 what", HELO="250 mail.here.example")
            self.assertEqual((await self.failing(self.make(), self.target(server, by_mx=True))).scope, "loop")
            server = self.serve(EHLO="250 x.mail.here.example mail.here.example")
            self.assertTrue((await self.make().send(self.target(server, by_mx=True), message())).replies[0].is_positive)

        return self.run_case(case())

    def test_more_recipients_than_the_server_takes_at_once(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO="250-mx.example\r\n250 LIMITS RCPTMAX=2")
            report = await self.make().send(
                self.target(server), message(CONTENT, *(f"{n}@d.example" for n in range(5)))
            )
            self.assertEqual([reply.code for reply in report.replies], [250, 250, 452, 452, 452])
            self.assertEqual(len(server.said("RCPT")), 2)

        return self.run_case(case())

    def test_more_domains_than_the_server_takes_at_once(self) -> Deferred[Any]:
        recipients = ("a@one.example", "b@two.example", "c@three.example", "d@ONE.example", "e@two.example")

        async def case() -> None:
            for limits, codes in (
                ("RCPTDOMAINMAX=1", [250, 452, 452, 250, 452]),
                ("RCPTDOMAINMAX=2", [250, 250, 452, 250, 250]),
                ("RCPTMAX=3 RCPTDOMAINMAX=2", [250, 250, 452, 250, 452]),
                ("RCPTDOMAINMAX=0", [250] * 5),
            ):
                server = self.serve(EHLO=f"250-mx.example\r\n250 LIMITS {limits}")
                report = await self.make().send(self.target(server), message(CONTENT, *recipients))
                self.assertEqual([reply.code for reply in report.replies], codes, limits)
                told = [address for address, code in zip(recipients, codes, strict=True) if code == 250]
                self.assertEqual(server.said("RCPT"), [f"RCPT TO:<{address}>" for address in told], limits)

        return self.run_case(case())

    def test_what_is_ours_among_those_of_one_domain(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO="250-mx.example\r\n250 LIMITS RCPTDOMAINMAX=1")
            sent = message(CONTENT, "a@one.example", "b@two.example", "jürgen@one.example")
            report = await self.make().send(self.target(server), sent)
            self.assertEqual([reply.code for reply in report.replies], [250, 452, 553])
            self.assertEqual(report.ours, {2})

        return self.run_case(case())

    def test_what_the_server_lacks_is_our_own_refusal(self) -> Deferred[Any]:
        plain = "250-mx.example\r\n250 SIZE 100"
        eight = "Subject: ü\r\n\r\nü\r\n".encode()

        async def case() -> None:
            for mail, status in (
                (message(eight, body="8BITMIME"), "5.6.3"),
                (message(eight, smtputf8=True), "5.6.7"),
                (message(CONTENT, "jürgen@d.example"), "5.6.7"),
                (message(CONTENT * 10), "5.3.4"),
                (message(CONTENT, "a\r\nb@d.example"), "5.1.3"),
            ):
                server = self.serve(EHLO=plain)
                report = await self.make().send(self.target(server), mail)
                self.assertEqual(report.ours, {0})
                self.assertEqual([reply.status for reply in report.replies], [status])
                self.assertEqual(server.said("MAIL"), [])

        return self.run_case(case())

    def test_what_is_sent_instead_to_a_server_without_8bitmime(self) -> Deferred[Any]:
        eight = "Subject: x\r\n\r\nü\r\n".encode()

        async def other(asked: list[str]) -> OutboundMessage:
            asked.append("instead")
            return message(b"Subject: x\r\n\r\nsaid in ASCII\r\n")

        async def case() -> None:
            for ehlo, more, wanted in (
                ("250 mx.example", {}, b"Subject: x\r\n\r\nsaid in ASCII\r\n"),
                ("250-mx.example\r\n250 8BITMIME", {}, eight),
                ("250-mx.example\r\n250 8BITMIME", {"smtputf8": True}, None),
                ("250 mx.example", {"smtputf8": True}, None),
            ):
                server, asked = self.serve(EHLO=ehlo), []
                mail = replace(message(eight, body="8BITMIME", **more), without_8bitmime=lambda a=asked: other(a))
                report = await self.make().send(self.target(server), mail)
                self.assertEqual(server.messages, [wanted] if wanted else [])
                self.assertEqual(asked, ["instead"] if wanted not in (None, eight) else [])
                self.assertEqual(report.replies[0].status[0], "2" if wanted else "5")

        return self.run_case(case())

    def test_one_recipient_who_needs_what_is_lacking(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO="250 mx.example")
            mail = message(CONTENT, "bob@d.example", "jürgen@d.example", "carol@d.example")
            report = await self.make().send(self.target(server), mail)
            self.assertEqual([reply.code for reply in report.replies], [250, 553, 250])
            self.assertEqual((report.ours, len(server.said("RCPT"))), ({1}, 2))

        return self.run_case(case())

    def test_ascii_marked_as_more_goes_plain(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO="250 mx.example")
            mail = message(CONTENT, "bob@bücher.example", body="8BITMIME", smtputf8=True)
            report = await self.make().send(self.target(server), mail)
            self.assertEqual([reply.code for reply in report.replies], [250])
            self.assertEqual(server.said("MAIL"), ["MAIL FROM:<alice@here.example>"])
            self.assertEqual(server.said("RCPT"), ["RCPT TO:<bob@xn--bcher-kva.example>"])

        return self.run_case(case())

    def test_old_servers_are_greeted_with_helo(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO="502 5.5.1 what")
            report = await self.make().send(self.target(server), message())
            self.assertEqual(report.replies[0].code, 250)

        return self.run_case(case())


class FailureTests(OutboundCase):
    def test_nobody_listens(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve()
            await server.listening.stopListening()
            failed = await self.failing(self.make(), self.target(server))
            self.assertEqual((failed.scope, failed.in_doubt), ("connect", False))

        return self.run_case(case())

    # SMTP trap 43: 421
    def test_every_stage_says_421(self) -> Deferred[Any]:
        async def case() -> None:
            for stage, scope in (
                ("banner", "greeting"),
                ("EHLO", "greeting"),
                ("MAIL", "lost"),
                ("RCPT", "lost"),
                ("DATA", "lost"),
            ):
                for extensions in (EHLO, "250 mx.example"):
                    replies = {"EHLO": extensions, stage: "421 4.3.2 shutting down"}
                    server = self.serve(**replies)
                    failed = await self.failing(self.make(), self.target(server))
                    self.assertEqual((failed.scope, failed.in_doubt), (scope, False), stage)
                    assert failed.reply is not None
                    self.assertEqual(failed.reply.code, 421)
                    self.assertEqual(server.said("HELO"), [])

        return self.run_case(case())

    def test_421_to_the_end_of_data_is_an_answer(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(DOT="421 4.3.2 shutting down")
            report = await self.make().send(self.target(server), message())
            self.assertEqual([reply.code for reply in report.replies], [421])

        return self.run_case(case())

    # SMTP trap 43: a silent close
    def test_every_stage_closes_silently(self) -> Deferred[Any]:
        async def case() -> None:
            for stage, scope, in_doubt in (
                ("banner", "greeting", False),
                ("EHLO", "greeting", False),
                ("MAIL", "lost", False),
                ("RCPT", "lost", False),
                ("DATA", "lost", False),
                ("DOT", "lost", True),
            ):
                server = self.serve(**{stage: CLOSE})
                failed = await self.failing(self.make(), self.target(server))
                self.assertEqual((failed.scope, failed.in_doubt), (scope, in_doubt), stage)

        return self.run_case(case())

    # SMTP trap 43: the time limits
    def test_every_stage_falls_silent(self) -> Deferred[Any]:
        async def case() -> None:
            for stage, scope, in_doubt in (
                ("banner", "greeting", False),
                ("EHLO", "greeting", False),
                ("MAIL", "lost", False),
                ("DATA", "lost", False),
                ("DOT", "lost", True),
            ):
                server = self.serve(**{stage: HANG})
                failed = await self.failing(self.make(QUICK), self.target(server))
                self.assertEqual((failed.scope, failed.in_doubt), (scope, in_doubt), stage)

        return self.run_case(case())

    def test_nonsense_instead_of_replies(self) -> Deferred[Any]:
        async def case() -> None:
            for stage, scope in (("banner", "greeting"), ("EHLO", "greeting"), ("MAIL", "lost"), ("DOT", "lost")):
                server = self.serve(**{stage: "HTTP/1.1 400 Bad Request"})
                self.assertEqual((await self.failing(self.make(), self.target(server))).scope, scope, stage)

        return self.run_case(case())

    def test_a_refusing_banner(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(banner="554 5.7.1 go away")
            failed = await self.failing(self.make(), self.target(server))
            self.assertEqual((failed.scope, str(failed.reply)), ("greeting", "554 5.7.1 go away"))

        return self.run_case(case())

    def test_a_server_that_never_stops_talking_is_cut_off(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(MAIL="250-" + "x" * 90 + ("\r\n250-" + "x" * 90) * 20_000)
            self.assertEqual((await self.failing(self.make(), self.target(server))).scope, "lost")

        return self.run_case(case())

    def test_a_message_that_is_cut_short_is_not_ended(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve()
            lost: Deferred[None] = Deferred()
            server.on_lost.append(lambda: lost.callback(None))
            with self.assertRaises(BlobDamaged):
                await self.make().send(self.target(server), message(size=len(CONTENT) + 1))
            await lost
            self.assertEqual(server.messages, [])

        return self.run_case(case())

    def test_a_message_that_cannot_be_read_is_not_ended(self) -> Deferred[Any]:
        async def read(offset: int, length: int) -> bytes:
            raise BlobDamaged

        async def case() -> None:
            server = self.serve()
            with self.assertRaises(BlobDamaged):
                await self.make().send(self.target(server), message(read=read))
            self.assertEqual(server.messages, [])

        return self.run_case(case())


class TlsTests(OutboundCase):
    def test_opportunistic_uses_what_is_offered(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO)
            report = await self.make().send(self.target(server), message())
            self.assertIn("TLSv1.3", report.tls)
            self.assertEqual(len(server.said("EHLO")), 2)
            self.assertEqual(server.messages, [CONTENT])

        return self.run_case(case())

    # SMTP trap 44: without a policy it goes in plain text
    def test_opportunistic_falls_back_on_a_fresh_connection(self) -> Deferred[Any]:
        lines: list[Any] = []

        def observe(event: Any) -> None:
            if event.get("event") == "queue.unencrypted":
                lines.append(event["fields"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

        async def case() -> None:
            for trouble in ("454 4.7.0 not now", CLOSE, "broken"):
                server = self.serve(EHLO=TLS_EHLO)
                if trouble == "broken":
                    server.break_tls = True
                else:
                    server.replies["STARTTLS"] = trouble
                report = await self.make().send(self.target(server), message())
                self.assertEqual((report.tls, report.replies[0].code), ("", 250))
                self.assertEqual(server.connections, 2)
                self.assertEqual(server.messages, [CONTENT])
                line = lines.pop()
                self.assertEqual((line["host"], line["ip"]), ("mx.example", "127.0.0.1"))
                self.assertTrue(line["reason"])

        return self.run_case(case())

    # SMTP trap 44: under a policy it does not
    def test_required_does_not_fall_back(self) -> Deferred[Any]:
        async def case() -> None:
            for level in ("required", "verified"):
                for trouble in ("454 4.7.0 not now", CLOSE, "broken", "not offered"):
                    server = self.serve(EHLO=EHLO if trouble == "not offered" else TLS_EHLO)
                    if trouble == "broken":
                        server.break_tls = True
                    elif trouble != "not offered":
                        server.replies["STARTTLS"] = trouble
                    failed = await self.failing(self.make(), self.target(server, tls=level))
                    self.assertEqual(failed.scope, "tls", (level, trouble))
                    self.assertEqual(server.said("MAIL"), [])

        return self.run_case(case())

    def test_none_does_not_ask(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO)
            report = await self.make().send(self.target(server, tls="none"), message())
            self.assertEqual((report.tls, server.said("STARTTLS")), ("", []))

        return self.run_case(case())

    def test_verified_checks_the_name(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO)
            report = await self.make().send(self.target(server, tls="verified"), message())
            self.assertTrue(report.tls)
            other = Target("other.example", "127.0.0.1", server.port, tls="verified")
            self.assertEqual((await self.failing(self.make(), other)).scope, "tls")
            relaxed = Target("other.example", "127.0.0.1", server.port, tls="required")
            self.assertTrue((await self.make().send(relaxed, message())).tls)

        return self.run_case(case())

    # SMTP trap 12: over a socket
    def test_words_injected_before_tls_are_not_taken(self) -> Deferred[Any]:
        """A reply glued to the answer to STARTTLS must not count as the answer to EHLO."""

        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO, STARTTLS="220 go on\r\n250 injected")
            failed = await self.failing(self.make(), self.target(server, tls="required"))
            self.assertEqual(failed.scope, "tls")

        return self.run_case(case())

    def test_login_after_tls_only(self) -> Deferred[Any]:
        async def case() -> None:
            secure = TLS_EHLO.replace("250-DSN", "250-AUTH PLAIN LOGIN\r\n250-DSN")
            server = self.serve(EHLO=secure)
            login = {"username": "user", "password": "secret"}
            report = await self.make().send(self.target(server, tls="verified", **login), message())
            self.assertEqual(report.replies[0].code, 250)
            self.assertEqual(server.said("AUTH"), ["AUTH PLAIN AHVzZXIAc2VjcmV0"])

            server = self.serve(EHLO=secure, STARTTLS="454 4.7.0 not now")
            await self.failing(self.make(), self.target(server, tls="opportunistic", **login))
            self.assertEqual(server.said("AUTH"), [])

            server = self.serve(EHLO=secure, AUTH="535 5.7.8 wrong")
            failed = await self.failing(self.make(), self.target(server, tls="verified", **login))
            self.assertEqual((failed.scope, str(failed.reply)), ("lost", "535 5.7.8 wrong"))
            self.assertEqual(server.said("MAIL"), [])

        return self.run_case(case())


class ReachTests(OutboundCase):
    def test_the_first_that_answers_is_sent_to_on_the_same_connection(self) -> Deferred[Any]:
        async def case() -> None:
            dead, server, outbound = self.serve(), self.serve(), self.make()
            await dead.listening.stopListening()
            targets = [Target("dead.example", "127.0.0.1", dead.port), self.target(server)]
            reached = await outbound.reach(targets)
            self.assertEqual(reached.target, targets[1])
            ((target, failed),) = reached.failed
            self.assertEqual((target, failed.scope, failed.text), (targets[0], "connect", "connection refused"))
            await outbound.send(targets[1], message())
            self.assertEqual((server.connections, server.messages), (1, [CONTENT]))
            self.assertEqual(await outbound.reach(targets), Reached(targets[1]))  # by the connection that is kept
            await outbound.send(targets[1], message())
            self.assertEqual(server.connections, 1)

        return self.run_case(case())

    def test_none_answers(self) -> Deferred[Any]:
        async def case() -> None:
            servers, outbound = [self.serve(), self.serve()], self.make()
            for server in servers:
                await server.listening.stopListening()
            reached = await outbound.reach([self.target(server) for server in servers])
            self.assertIsNone(reached.target)
            self.assertEqual(len(reached.failed), 2)

        return self.run_case(case())

    def test_plain_text_after_broken_tls_takes_a_fresh_connection_there(self) -> Deferred[Any]:
        async def case() -> None:
            server, other, outbound = self.serve(EHLO=TLS_EHLO), self.serve(), self.make()
            server.break_tls = True
            await outbound.reach([self.target(server), self.target(other)])
            report = await outbound.send(self.target(server), message())
            self.assertEqual((report.tls, server.connections, other.connections), ("", 2, 0))

        return self.run_case(case())

    def test_what_is_reached_and_not_used_is_closed(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(banner=HANG), self.make(replace(QUICK, idle=0.01))
            lost: Deferred[None] = Deferred()
            server.on_lost.append(lambda: lost.callback(None))
            await outbound.reach([self.target(server), self.target(self.serve())])
            await lost

        return self.run_case(case())

    def test_nothing_is_reached_after_stop(self) -> Deferred[Any]:
        async def case() -> None:
            servers, outbound = [self.serve(), self.serve()], self.make()
            await outbound.stop()
            targets = [self.target(server) for server in servers]
            self.assertEqual(await outbound.reach(targets), Reached(targets[0]))
            self.assertEqual((await self.failing(outbound, targets[0])).scope, "connect")
            self.assertEqual([server.connections for server in servers], [0, 0])

        return self.run_case(case())


class ReuseTests(OutboundCase):
    async def send_some(self, outbound: Outbound, target: Target, count: int) -> list[OutboundReport]:
        return [await outbound.send(target, message()) for _ in range(count)]

    def test_one_connection_for_many_mails(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make(OutboundSettings(mails=5))
            await self.send_some(outbound, self.target(server), 12)
            self.assertEqual((server.connections, len(server.messages)), (3, 12))

        return self.run_case(case())

    def test_the_server_says_how_many_mails_a_connection_is_for(self) -> Deferred[Any]:
        async def case() -> None:
            for limits, connections in (("MAILMAX=2 RCPTMAX=5", 3), ("mailmax=1", 6), ("MAILMAX=0", 1), ("MAILMAX", 1)):
                server, outbound = self.serve(EHLO=f"250-mx.example\r\n250 LIMITS {limits}"), self.make()
                await self.send_some(outbound, self.target(server), 6)
                self.assertEqual((server.connections, len(server.messages)), (connections, 6), limits)

        return self.run_case(case())

    def test_a_connection_is_not_used_for_ever(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make(OutboundSettings(lifetime=0.0))
            await self.send_some(outbound, self.target(server), 3)
            self.assertEqual((server.connections, len(server.messages)), (3, 3))

        return self.run_case(case())

    def test_a_connection_is_kept_after_refusals(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(RCPT="550 5.1.1 unknown", DATA="503 5.5.1 no")
            await self.send_some(self.make(), self.target(server), 3)
            self.assertEqual(server.connections, 1)

        return self.run_case(case())

    # SMTP trap 47: by level, login and source
    def test_never_across_classes(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(EHLO=TLS_EHLO), self.make()
            for number, more in enumerate(
                (
                    {"tls": "opportunistic"},
                    {"tls": "required"},
                    {"tls": "none"},
                    {"source": "127.0.0.1"},
                    {"require_tls": True},
                )
            ):
                await self.send_some(outbound, self.target(server, **more), 2)
                self.assertEqual(server.connections, number + 1)
            await self.send_some(outbound, Target("mx2.example", "127.0.0.1", server.port), 2)
            self.assertEqual(server.connections, 6)

        return self.run_case(case())

    def test_two_at_once_have_a_connection_each(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make()
            target = self.target(server)
            await gatherResults([Deferred.fromCoroutine(outbound.send(target, message())) for _ in range(3)])
            self.assertEqual(server.connections, 3)
            await self.send_some(outbound, target, 3)
            self.assertEqual(server.connections, 3)

        return self.run_case(case())

    def test_a_kept_connection_that_died_is_replaced(self) -> Deferred[Any]:
        async def case() -> None:
            for stage in ("MAIL", "RCPT", "DATA"):
                server, outbound = self.serve(), self.make()
                target = self.target(server)
                await outbound.send(target, message())
                ordinary = server.replies[stage]
                dying = [CLOSE]
                server.replies[stage] = lambda _, o=ordinary, d=dying: d.pop() if d else o
                report = await outbound.send(target, message())
                self.assertEqual(report.replies[0].code, 250, stage)
                self.assertEqual((server.connections, len(server.messages)), (2, 2), stage)

        return self.run_case(case())

    # SMTP trap 43: no second copy on another connection
    def test_no_copy_when_a_kept_connection_dies_in_doubt(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make()
            await outbound.send(self.target(server), message())
            server.replies["."] = CLOSE
            self.assertTrue((await self.failing(outbound, self.target(server))).in_doubt)
            self.assertEqual(server.connections, 1)

        return self.run_case(case())

    def test_a_farewell_while_kept_ends_it(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make()
            target = self.target(server)
            await outbound.send(target, message())
            lost: Deferred[None] = Deferred()
            server.on_lost.append(lambda: lost.callback(None))
            server.open[0].sendLine(b"421 4.4.2 idle too long")
            await lost
            server.on_lost.clear()
            await outbound.send(target, message())
            self.assertEqual(server.connections, 2)

        return self.run_case(case())

    def test_an_idle_connection_says_quit(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make(OutboundSettings(idle=0.01))
            lost: Deferred[None] = Deferred()
            server.on_lost.append(lambda: lost.callback(None))
            await outbound.send(self.target(server), message())
            await lost
            self.assertEqual(server.said("QUIT"), ["QUIT"])

        return self.run_case(case())

    def test_stop_ends_what_is_in_use_and_opens_no_more(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(DOT=HANG), self.make()
            sending = Deferred.fromCoroutine(outbound.send(self.target(server), message()))
            written: Deferred[None] = Deferred()
            server.replies["."] = lambda _: written.callback(None) or HANG
            await written
            await outbound.stop()
            ended: Any = await DeferredList([sending], consumeErrors=True)
            self.assertTrue(ended[0][1].check(TargetFailed))
            self.assertEqual((await self.failing(outbound, self.target(server))).scope, "connect")

        return self.run_case(case())
