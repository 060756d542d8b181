"""The rooms behind the listeners of one process: where mail goes, who may log in, what policies say, and the factory of
each protocol, which is given them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from twisted.cred.portal import Portal
from twisted.logger import Logger

from mailnode.admin.quotas import Quotas
from mailnode.admin.sharing import Sharing
from mailnode.auth.checkers import DirectoryChecker, FirstThatKnows, ProofChecker
from mailnode.auth.logins import Logins
from mailnode.auth.mechanisms import Offer
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import MailRealm
from mailnode.auth.secret import server_secret
from mailnode.auth.throttle import Throttle
from mailnode.config.endpoints import tcp_port
from mailnode.config.holder import Holder
from mailnode.config.imap import Imap as ImapConfig
from mailnode.config.schema import Config
from mailnode.config.schema import Listener as ListenerConfig
from mailnode.config.schema import Queue as QueueConfig
from mailnode.config.server_scripts import read_server_scripts
from mailnode.config.version import VERSION
from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.binary_mail import BinaryMail
from mailnode.delivery.filtering import Filtering, environment
from mailnode.delivery.forwarding import Forwarding
from mailnode.delivery.judge import Judge
from mailnode.delivery.mailbox_scripts import MailboxScripts
from mailnode.delivery.reading import MessageReader
from mailnode.delivery.received_reports import ReportReader
from mailnode.delivery.rejects import Rejects
from mailnode.delivery.returned import ReturnedMail
from mailnode.delivery.router import Router
from mailnode.delivery.script_actions import ScriptActions
from mailnode.delivery.script_answers import ScriptAnswers
from mailnode.delivery.script_runner import ScriptRunner
from mailnode.delivery.sealing import ArcSealer
from mailnode.delivery.server_scripts import ServerScripts
from mailnode.delivery.signing import DkimSigner
from mailnode.errors import ConfigurationError
from mailnode.imap.hiding import Hiding
from mailnode.imap.protocol import ImapFactory
from mailnode.imap.services import ImapServices
from mailnode.imap.session import ImapSession
from mailnode.imap.watching import Watching
from mailnode.imap.wire.limits import ImapLimits
from mailnode.interfaces.reactor import StartTls
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.sessions import ISessionCounts
from mailnode.managesieve.checking import ScriptChecker
from mailnode.managesieve.protocol import ManageSieveFactory
from mailnode.managesieve.session import ManageSieveService
from mailnode.net.programs import Programs
from mailnode.net.pump_factory import PumpFactory
from mailnode.policy.chain import PolicyChain
from mailnode.policy.signature_check import SignatureCheck
from mailnode.pop3.protocol import Pop3Factory
from mailnode.queue.schedule import Schedule
from mailnode.server import plugins
from mailnode.server.judging import make_chain
from mailnode.server.plugins import PluginContext
from mailnode.server.routing import routing_table
from mailnode.server.runtime import Runtime
from mailnode.server.stores import Stores
from mailnode.server.tokens import make_tokens
from mailnode.smtp.protocol import SmtpFactory
from mailnode.smtp.service import Service
from mailnode.smtp.strangers import Rates, Strangers
from mailnode.smtp.wire.limits import Limits as SmtpLimits
from mailnode.smtp.wire.limits import Timeouts as SmtpTimeouts
from mailnode.values.policy import PolicyAnswer

MANAGESIEVE = 4190  # its port, unless a URL says another (RFC 5804 1.8)
_log = Logger()


def retry_schedule(queue: QueueConfig) -> Schedule:
    """Return when mail that waits is tried, and until when, as a configuration says."""
    return Schedule(
        tuple(queue.retry),
        lifetime=queue.lifetime,
        null_lifetime=queue.lifetime_null,
        delay_after=queue.delay_notice,
    )


class Rooms:
    """Put together once the store is open."""

    def __init__(
        self,
        holder: Holder,
        stores: Stores,
        runtime: Runtime,
        counts: ISessionCounts,
        own_addresses: Collection[str],
        sending: ISending | None = None,
    ) -> None:
        """:param own_addresses: IP addresses of this machine. :param sending: asked what accounts may send; None: all of it.
        :raises ConfigurationError: a plug-in cannot be made."""
        self._holder = holder
        self._config = config = holder.config  # what it was made with; what can change is asked of the holder
        self._stores = stores
        self._runtime = runtime
        queue = config.queue
        self.schedule = retry_schedule(queue)
        self.own_addresses = own_addresses
        self._sending = sending
        self.forwarding = Forwarding(stores.directory, runtime.clock, config.server.hostname)
        self._router = self._make_router()
        self.routing = routing_table(queue)
        self.delivery = self._make_delivery()
        self.signer, self.sealer = self._make_signers()
        stores.mail.scan_older(self.delivery.scan_stored)
        self._strangers = Strangers(runtime.reactor)
        self._binary = BinaryMail(stores.blobs, runtime.threads, runtime.processes, str(config.server.data))
        self._watching = Watching(runtime.clock, stores.mail)
        self._counting: dict[tuple[str, str, str], tuple[Callable[[float], None], Callable[[float], None]]] = {}
        self._policies = self._policy_chain()
        self._reader = (
            MessageReader(runtime.reader, runtime.clock, stores.filters) if runtime.reader is not None else None
        )
        self._sieve = self._make_sieve()
        self.filtering = self._make_filtering()
        self._rejects = Rejects(
            stores.directory,
            stores.mail,
            stores.blobs,
            self.delivery.scan,
            runtime.clock,
            config.server.hostname,
        )
        self._mailbox_scripts = self._make_mailbox_scripts()
        self._realm = MailRealm(stores.directory, stores.mail, stores.scripts, counts)
        self._logins = self._make_logins()

    def _make_router(self) -> Router:
        return Router(
            self._stores.directory,
            self._stores.mail,
            refuse_foreign=not self._config.queue.outgoing,
            own_addresses=self.own_addresses,
            own_names=[self._config.server.hostname],
            forwarding=self.forwarding,
        )

    def _make_delivery(self) -> Acceptance:
        stores, runtime, sending = self._stores, self._runtime, self._sending
        return Acceptance(
            stores.blobs,
            stores.mail,
            stores.queue,
            runtime.threads,
            runtime.processes,
            runtime.hints,
            expires=self.schedule.expires,
            routing=self.routing,
            scratch=str(self._config.server.data),
            batches=runtime.batches,
            returned=ReturnedMail(stores.blobs, runtime.threads, sending).look if sending is not None else None,
            taken=ReportReader(
                stores.blobs,
                stores.directory,
                runtime.threads,
                runtime.processes,
                runtime.clock,
                stores.received_reports,
                lambda: self._holder.config.published.reports_address(),
            ).look,
        )

    def _make_sieve(self) -> ScriptRunner:
        """What runs scripts, with what they may include."""
        stores, runtime = self._stores, self._runtime
        self._server_scripts = ServerScripts()
        self._read_scripts(self._holder.config)
        self._holder.tell(self._read_scripts)
        included = self._server_scripts.included
        answers = ScriptAnswers(stores.mail, stores.queue, stores.scripts, runtime.clock, included)
        return ScriptRunner(runtime.threads, runtime.processes, answers, str(self._config.server.data))

    def _make_mailbox_scripts(self) -> MailboxScripts:
        stores, runtime, server = self._stores, self._runtime, self._config.server
        return MailboxScripts(
            stores.directory,
            stores.mail,
            stores.named_scripts,
            stores.scripts,
            self._sieve,
            self._script_actions,
            self.filtering,
            self.delivery,
            runtime.clock,
            runtime.threads,
            environment(server.hostname, VERSION),
            self._sending,
        )

    def _make_signers(self) -> tuple[DkimSigner, ArcSealer]:
        """What signs for our domains, and what seals with their keys."""
        runtime, holder = self._runtime, self._holder
        signer = DkimSigner(self._stores.directory, runtime.threads, runtime.clock, lambda: holder.config.dkim.enabled)
        sealer = ArcSealer(
            signer.keys,
            SignatureCheck(runtime.resolver, runtime.threads, runtime.clock),
            runtime.threads,
            runtime.clock,
            self._config.server.hostname,
            lambda: holder.config.queue.arc,
        )
        return signer, sealer

    def _make_filtering(self) -> Filtering:
        """What makes of mail for accounts what their scripts want."""
        stores, runtime, holder, hostname = self._stores, self._runtime, self._holder, self._config.server.hostname
        self._script_actions = ScriptActions(
            stores.directory,
            self._router,
            Judge(self._router, self.forwarding if self._config.queue.rewrite_senders else None),
            stores.queue,
            runtime.clock,
            runtime.threads,
            hostname,
            self.signer,
            self.sealer,
        )
        return Filtering(
            stores.scripts,
            self._sieve,
            self._script_actions,
            stores.directory,
            runtime.clock,
            self._server_scripts,
            runtime.threads,
            hostname,
            VERSION,
            lambda: holder.config.judgement.junk_at,
            lambda: holder.config.sieve.enabled,
        )

    def _read_scripts(self, config: Config) -> None:
        """Take over the scripts that a configuration names; what cannot be read any more stays as it was."""
        try:
            self._server_scripts.use(read_server_scripts(config))
        except ConfigurationError as error:
            _log.warn("scripts of the server stay as they were: {mistakes}", mistakes="; ".join(error.mistakes))

    def limit_sessions(self, most: int) -> None:
        """Let an account have so many sessions at a time from now on."""
        self._realm.sessions_per_account = most

    def factory(self, entry: ListenerConfig, start_tls: StartTls | None, config: Config) -> PumpFactory:
        """Return what makes connections for a listener for mail, with the limits of this configuration."""
        make: dict[str, Callable[..., PumpFactory]] = {
            "smtp": self._smtp_factory,
            "submission": self._smtp_factory,
            "lmtp": self._smtp_factory,
            "imap": self._imap_factory,
            "pop3": self._pop3_factory,
            "managesieve": self._managesieve_factory,
        }
        return make[entry.protocol](entry, start_tls, config)

    def _policy_chain(self) -> PolicyChain:
        runtime = self._runtime
        context = PluginContext(
            runtime.clock,
            runtime.resolver,
            runtime.threads,
            Programs(runtime.reactor, runtime.resolver),
            self._config.server.hostname,
            self._stores.policy_memory,
            self._stores.dmarc_results,
            self._stores.filters,
        )
        chain, self.listed_policies = make_chain(self._config, context, runtime.reactor, self._count)
        return chain

    def _count(self, answer: PolicyAnswer) -> None:
        self._stores.policy_tally.note(answer)
        kind = answer.policy, answer.stage, answer.answer
        counting = self._counting.get(kind)  # found once: this comes several times a message
        if counting is None:
            metrics, (policy, stage, word) = self._runtime.metrics, kind
            counting = self._counting[kind] = (
                metrics.adder("policy_answers", policy=policy, stage=stage, answer=word),
                metrics.adder("policy_seconds", policy=policy),
            )
        count, observe = counting
        count(1.0)
        observe(answer.seconds)

    def _make_logins(self) -> Logins:
        directory, runtime = self._stores.directory, self._runtime
        checkers = [
            DirectoryChecker(
                directory,
                runtime.threads,
                runtime.reactor,
                partial(make_credentials, scram=self._config.auth.scram),
            ),
            *plugins.make_checkers(self._config.auth.checkers),
        ]
        portal = Portal(
            self._realm,
            [FirstThatKnows(checkers), ProofChecker(directory)],
        )
        secret = server_secret(self._config.server.data)
        throttle = Throttle(self._stores.ephemeral, secret, lambda: self._holder.config.auth.no_throttle_for)
        auth = self._config.auth
        tokens = make_tokens(auth.oauth, runtime) if auth.oauth is not None else None
        offer = Offer(tuple(auth.scram), auth.client_name, tokens is not None, auth.scram_bound)
        return Logins(portal, directory, throttle, runtime.clock, secret, offer, tokens)

    def _smtp_factory(self, entry: ListenerConfig, start_tls: StartTls | None, config: Config) -> SmtpFactory:
        limits = config.limits
        service = Service(
            config.server.hostname,
            self._router,
            self.delivery,
            self._policies,
            Judge(self._router, self.forwarding if config.queue.rewrite_senders else None),
            self._runtime.clock,
            self._logins if entry.protocol == "submission" else None,
            SmtpLimits(
                message_size=limits.message_size,
                discard_size=2 * limits.message_size,
                recipients=limits.recipients,
                messages=limits.messages_per_session,
                hops=limits.hops,
                errors_slow=min(10, limits.errors),
                errors_max=limits.errors,
            ),
            SmtpTimeouts(command=limits.smtp_timeout, data=limits.smtp_timeout, login=limits.login_timeout),
            entry.relay_from,
            entry.no_policy_for,
            self._runtime.reactor,
            highest_priority=config.submission.highest_priority,
            reader=self._reader,
            rejects=self._rejects if config.judgement.rejects else None,
            binary=self._binary,
            filtering=self.filtering,
            strangers=self._strangers,
            spokesmen=[*entry.proxy_from, *entry.xclient_from],
            rates=Rates(
                limits.connections_per_minute,
                limits.messages_per_minute,
                limits.recipients_per_minute,
                limits.refused_recipients_per_minute,
                limits.neighbours,
            ),
            greet_pause=limits.greet_pause,
            sending=self._sending if entry.protocol == "submission" else None,
            signer=self.signer if entry.protocol == "submission" else None,
            sealer=self.sealer if entry.protocol != "submission" else None,
        )
        return SmtpFactory(
            entry.protocol,
            service,
            tls=entry.tls,
            start_tls=start_tls,
            xclient_from=entry.xclient_from,
            plain_login=entry.plain_login,
            strict_sync=entry.protocol == "smtp" and entry.strict_sync,
            max_connections=limits.connections,
            max_per_peer=limits.connections_per_address,
        )

    def _imap_factory(self, entry: ListenerConfig, start_tls: StartTls | None, config: Config) -> ImapFactory:
        services = ImapServices(
            self._logins,
            self._runtime.hints,
            self._runtime.clock,
            self._runtime.threads,
            self.delivery.stage,
            self._runtime.views,
            self._runtime.searches,
            self._watching,
            Quotas(self._stores.directory, self._stores.mail),
            Sharing(self._stores.directory, self._stores.mail, self._runtime.hints),
            self._runtime.keys,
            self._runtime.answers,
            self._binary.in_lines,
            start_tls=entry.tls == "starttls",
            append_limit=config.limits.message_size,
            version=VERSION,
            hiding=_hiding(config.imap),
            login_seconds=config.limits.login_timeout,
            message_limit=config.imap.message_limit,
            save_limit=config.imap.save_limit,
            index=self._stores.index if config.search.index else None,
            scripts=self._mailbox_scripts if config.sieve.enabled else None,
            script_server=_script_server(config) if config.sieve.enabled else "",
        )
        return ImapFactory(
            lambda channel, connection: ImapSession(channel, connection, services),
            self._runtime.reactor,
            tls=entry.tls,
            start_tls=start_tls,
            plaintext_login=entry.plain_login,
            login_timeout=config.limits.login_timeout,
            limits=ImapLimits(message=config.limits.message_size, bad_commands=config.limits.errors),
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )

    def _pop3_factory(self, entry: ListenerConfig, start_tls: StartTls | None, config: Config) -> Pop3Factory:
        return Pop3Factory(
            self._logins,
            self._runtime.reactor,
            tls=entry.tls,
            start_tls=start_tls,
            hostname=config.server.hostname,
            timeout=config.limits.pop3_timeout,
            login_timeout=config.limits.login_timeout,
            plain_login=entry.plain_login,
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )

    def _managesieve_factory(
        self, entry: ListenerConfig, start_tls: StartTls | None, config: Config
    ) -> ManageSieveFactory:
        service = ManageSieveService(
            self._logins,
            ScriptChecker(self._runtime.threads, self._runtime.processes),
            config.sieve.quota(),
            f"mailnode {VERSION}",
            start_tls=entry.tls == "starttls",
            plain_login=entry.plain_login,
            login_seconds=config.limits.login_timeout,
            enabled=config.sieve.enabled,
        )
        return ManageSieveFactory(
            service,
            self._runtime.reactor,
            tls=entry.tls,
            start_tls=start_tls,
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )


def _script_server(config: Config) -> str:
    """Return where accounts store scripts, as a URL (RFC 5804 3); "" where no listener takes them."""
    for listener in config.listener:
        if listener.protocol == "managesieve":
            port = tcp_port(listener.endpoint) or MANAGESIEVE
            return f"sieve://{config.server.hostname}" + (f":{port}" if port != MANAGESIEVE else "")
    return ""


def _hiding(imap: ImapConfig) -> Hiding:
    """Return what programs are not told of."""
    clients: dict[str, frozenset[str]] = {}
    for client in imap.client:
        name = client.name.lower()
        clients[name] = clients.get(name, frozenset()).union(client.hide)
    return Hiding(frozenset(imap.hide), clients)
