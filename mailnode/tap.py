"""``twistd mailnode``: options, the process around the server, signals, exit codes."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, cast

from twisted.application.service import IService, Service
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from mailnode.config.checkup import User, check_up, serving_user
from mailnode.config.schema import Config
from mailnode.config.server_scripts import read_server_scripts
from mailnode.config.version import VERSION
from mailnode.errors import ConfigurationError
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interpreter import require_fit
from mailnode.server import app, demo
from mailnode.server.config_source import ChosenConfig, ConfigSource
from mailnode.server.configuration import configuration
from mailnode.server.logs import AppendedLog, LineWriter, observer
from mailnode.server.pidfile import PidFile
from mailnode.server.processes.handover import LogPlace
from mailnode.server.processes.setup import end_by_force, prepare_process
from mailnode.server.services import ProcessService, Startable

reactor = cast(IServerReactor, _reactor)
_log = Logger()

TwistdOptions: TypeAlias = Mapping[str, Any]  # a dictionary whose values have the types of twistd's own options

PIDFILE = "twistd.pid"  # of twistd itself, where nobody names one
LOGFILE = "twistd.log"  # where a daemon without --logfile writes, as twistd does
ELSEWHERE = "; --data DIR (after the word mailnode) names another place"


class Options(usage.Options):
    """What ``twistd mailnode`` takes."""

    synopsis = "[--config FILE] [--data DIR] [--check]"
    longdesc = (
        "Run the mail server. Without --config a demonstration runs on 127.0.0.1 and high ports, with its data in "
        "./mailnode-data."
    )
    optParameters = [
        ["config", None, None, "The configuration file (TOML); see docs/configuration.rst."],
        ["data", None, None, "The data directory, in place of the file's or of ./mailnode-data."],
        ["port-offset", None, 0, "Added to every port of the demonstration.", usage.portCoerce],
    ]
    optFlags = [["check", None, "Check the configuration and what it points at, then end."]]

    def opt_version(self) -> NoReturn:
        """Show the version."""
        sys.stdout.write(f"mailnode {VERSION}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Take the pidfile over from twistd, whose own handling ends in a traceback."""
        self.pidfile: PidFile | None = None
        if self.parent is not None and self.parent["pidfile"]:
            # A demonstration on a terminal leaves nothing where it was started; its data directory is locked anyway.
            if self.parent["pidfile"] == PIDFILE and self.parent["nodaemon"] and not self["config"]:
                self.parent["pidfile"] = ""
                return
            self.pidfile = PidFile(Path(self.parent["pidfile"]).absolute())
            self.parent["pidfile"] = ""


def makeService(options: Options) -> IService:
    """Return the server as a service, or end with exit code 1 and every mistake on standard error."""
    file = Path(options["config"]).absolute() if options["config"] else None
    data = Path(options["data"]).absolute() if options["data"] else None
    if file is None and data is None:
        data = Path("mailnode-data").absolute()
    try:
        require_fit()
        if options["check"]:
            config = configuration(file, data, options["port-offset"])
            user, log = _serving_user(config, options.parent or {}), _log_path(options.parent)
            if options.parent is not None and options.parent.get("uid") is None and user.uid != os.geteuid():
                log = None  # whoever starts the server as that user does so with another command line
            for warning in check_up(config, user, file, log):
                sys.stderr.write(f"mailnode: warning: {warning}\n")
            sys.stdout.write(f"{file or 'the embedded default'}: no mistakes\n")
            raise SystemExit(0)
        source = ConfigSource(file, data, options["port-offset"])
        chosen = source.choose(time.time(), starting=True)
        read_server_scripts(chosen.config)  # without one of them mail would come by that it is to judge
        _refuse_root_for_another(chosen.config, options.parent or {})
        if options.pidfile is not None:
            options.pidfile.check()
        return MailService(chosen, source, options.parent or {}, options.pidfile)
    except ConfigurationError as error:
        _fail(error.mistakes)


def _serving_user(config: Config, twistd: TwistdOptions) -> User:
    uid, gid = twistd.get("uid"), twistd.get("gid")
    if uid is None:
        return serving_user(config)
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError([f"--uid: {uid}: no such user"]) from None
    return User(entry.pw_name, uid, entry.pw_gid if gid is None else gid, starts_as_root=os.geteuid() == 0)


def _refuse_root_for_another(config: Config, twistd: TwistdOptions) -> None:
    """What root, or another user, writes into somebody's data directory, its owner could not read at the next start.

    :raises ConfigurationError:
    """
    owner = serving_user(config)
    uid = twistd.get("uid")
    if owner.uid not in ((os.geteuid(),) if uid is None else (uid, 0)):  # of what is root's --check tells
        raise ConfigurationError(
            [f"server.data: {config.server.data}: belongs to {owner.name}; start the server as {owner.name}"]
        )


def _log_path(twistd: TwistdOptions | None) -> Path | None:
    """Return the file the log goes to; None: it is no file."""
    if twistd is None or twistd.get("logger") or twistd.get("syslog") or twistd.get("logfile") == "-":
        return None
    if twistd.get("nodaemon") and not twistd.get("logfile"):
        return None
    return Path(twistd.get("logfile") or LOGFILE).absolute()


class MailService(Service):
    """The server in twistd: bound before privileges are given up, up before a daemon's parent returns."""

    def __init__(
        self,
        chosen: ChosenConfig,
        source: ConfigSource,
        parent: TwistdOptions,
        pidfile: PidFile | None = None,
    ) -> None:
        """:param parent: twistd's own options."""
        self._chosen = chosen
        self._config = chosen.config
        self._source = source
        self._file = source.file
        self._twistd = parent
        self._pidfile = pidfile
        self._server: app.Server | None = None
        self._log_file: AppendedLog | None = None
        self._shown: demo.Shown | None = None  # of a demonstration
        self._reason = "stopped"
        self._ending = False

    def setServiceParent(self, parent: object) -> None:
        """Join the application and give it our log."""
        if isinstance(parent, Componentized) and not self._twistd.get("logger") and not self._twistd.get("syslog"):
            try:
                writer = self._log_writer()
            except OSError as error:
                hint = "" if self._file else ELSEWHERE
                _fail([f"{error.filename or self._config.server.data}: cannot be written: {error.strerror}{hint}"])
            parent.setComponent(ILogObserver, observer(writer, self._config.server.log))  # type: ignore[no-untyped-call]
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Read what only root may read and take the ports."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the start ends it, without a traceback
        prepare_process(reactor, time.monotonic)
        self._or_end(self._bind())

    def startService(self) -> None:
        """Come up whole, or end the process with exit code 1 and the reason on standard error."""
        self._or_end(self._start())
        super().startService()  # type: ignore[no-untyped-call]
        _notify("READY=1")

    def stopService(self) -> Deferred[None]:
        """Drain and close everything."""
        super().stopService()  # type: ignore[no-untyped-call]
        _notify("STOPPING=1")
        self._ending = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._server is not None and not await self._server.stop(self._reason):
            self._leave(0)  # the interpreter would wait for its threads
        self._remove_pidfile()

    def _remove_pidfile(self) -> None:
        if self._pidfile is not None:
            self._pidfile.remove()

    async def _bind(self) -> None:
        if self._pidfile is not None:
            self._pidfile.take()
        if self._file is None:
            demo.prepare_certificate(self._config.server.data, time.time())
        self._server = app.Server(
            self._chosen, reactor, time.time, self._source, self._log_place(), self._before_clients()
        )
        await self._server.bind()

    async def _start(self) -> None:
        server = self._server
        assert server is not None
        await server.start()
        if self._shown is not None and self._twistd.get("nodaemon") and sys.__stdout__ is not None:
            sys.__stdout__.write(demo.screen(self._shown, self._config.server.data) + "\n")
            sys.__stdout__.flush()

    def _before_clients(self) -> list[Startable]:
        """What there must be before anybody is served; who sees that it is up may send a signal at once."""
        signals = ProcessService("signals", reactor, start=self._set_signals, within=lambda: 0.0)
        if self._file is not None:
            return [signals]
        return [ProcessService("demonstration", reactor, start=self._demonstrate, within=lambda: 0.0), signals]

    async def _demonstrate(self) -> None:
        assert self._server is not None
        self._shown = await demo.prepare_accounts(
            self._server.administration, self._config.server.data, self._source.port_offset
        )

    def _or_end(self, coroutine: Coroutine[Deferred[object], object, None]) -> None:
        """Run the reactor until a coroutine is done; it is not running yet."""
        outcome: list[object] = []
        Deferred.fromCoroutine(coroutine).addBoth(outcome.append)
        while not outcome:
            reactor.iterate(0.05)
        failure = outcome[0]
        if isinstance(failure, Failure):
            self._end(self._in_words(failure))

    def _in_words(self, failure: Failure) -> list[str]:
        error = failure.value
        if isinstance(error, ConfigurationError):
            return demo.in_words(error.mistakes) if self._file is None else error.mistakes
        if isinstance(error, OSError):
            return [f"{error.filename or self._config.server.data}: {error.strerror}"]
        _log.failure("the server could not start", failure)
        return [f"{type(error).__name__}: {error}"]

    def _end(self, mistakes: list[str]) -> NoReturn:
        self._remove_pidfile()
        with contextlib.suppress(OSError):
            pipe = self._twistd.get("statusPipe")
            if pipe is not None:  # a daemon: its parent says it
                os.write(pipe, f"1 {mistakes[0]}".encode("ascii", "replace")[:100])
        if not self._twistd.get("nodaemon"):
            for mistake in mistakes:
                _log.error("{mistake}", mistake=mistake)
        _fail(mistakes)

    # Signals

    def _set_signals(self) -> None:
        # When the reactor begins it sets its own two, which know nothing of a second SIGTERM: they are these.
        def terminate(number: int, frame: object) -> None:
            reactor.callFromThread(self._terminate, number)

        reactor.sigTerm = reactor.sigInt = terminate  # type: ignore[attr-defined]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, terminate)
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(self._reload))
        if self._log_file is not None and self._log_file.path is not None:
            signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(self._reopen_log))

    def _terminate(self, number: int) -> None:
        if self._ending:
            self._leave(1)  # what was acknowledged is on disk; who is still connected is cut off
        self._ending = True
        if self._server is not None:
            end_by_force(self._server.config.server.grace)
        self._reason = signal.Signals(number).name
        reactor.callWhenRunning(reactor.stop)  # it may still be starting: then it comes up, and ends

    def _leave(self, code: int) -> NoReturn:
        """End the process at once."""
        self._remove_pidfile()
        with contextlib.suppress(OSError, ValueError):
            (sys.__stdout__ or sys.stdout).flush()
        os._exit(code)

    def _reload(self) -> None:
        if self._server is not None and not self._ending:
            Deferred.fromCoroutine(self._server.reload()).addErrback(
                lambda failure: _log.failure("the configuration could not be read again", failure)
            )

    def _reopen_log(self) -> None:
        if self._log_file is not None and self._server is not None:
            try:
                self._log_file.reopen()
            except OSError as error:
                _log.error("the log cannot be reopened: {error}", error=str(error))
            self._server.reopen_logs()

    def _log_writer(self) -> LineWriter:
        name = self._twistd.get("logfile")
        if not name and self._file is None and self._twistd.get("nodaemon"):
            name = str(demo.prepare_log(self._config.server.data))
        if name == "-" or (self._twistd.get("nodaemon") and not name):
            out = sys.__stdout__ or sys.stdout
            self._log_file = AppendedLog(None, out.fileno())
        else:
            self._log_file = AppendedLog(Path(name or LOGFILE).absolute())
        return self._log_file

    def _log_place(self) -> LogPlace:
        """Where the log goes, for other processes."""
        if self._twistd.get("logger"):
            return LogPlace("observer", name=self._twistd["logger"])
        if self._twistd.get("syslog"):
            return LogPlace("syslog", name=self._twistd.get("prefix") or "")
        log = self._log_file
        return LogPlace("lines", log.descriptor, log.path) if log is not None else LogPlace("lines", 1)


def _notify(state: str) -> None:
    """Tell systemd, where it asks (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] in ("/", "@"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def _fail(mistakes: list[str]) -> NoReturn:
    for mistake in mistakes:
        print(f"mailnode: {mistake}", file=sys.__stderr__)
    raise SystemExit(1)
