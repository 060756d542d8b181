"""The commands on scripts, for the account that has logged in (RFC 5804 2.5 to 2.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailnode.errors import (
    AlreadyExists,
    BadScriptName,
    DomainError,
    NoSuchScript,
    ScriptActive,
    ScriptQuotaReached,
)
from mailnode.interfaces.scripts import IScripts
from mailnode.managesieve.checking import ScriptChecker
from mailnode.managesieve.wire.grammar import ManageCommand
from mailnode.managesieve.wire.responses import ManageReply, line, literal, no, ok, string
from mailnode.values.scripts import ScriptQuota

# What a command that cannot be carried out is answered with (RFC 5804 1.3). The first that fits.
_REFUSALS: tuple[tuple[type[DomainError], ManageReply], ...] = (
    (NoSuchScript, no("there is no script of that name", "NONEXISTENT")),
    (ScriptActive, no("the active script cannot be deleted: make it inactive first", "ACTIVE")),
    (AlreadyExists, no("there is a script of that name already", "ALREADYEXISTS")),
    (BadScriptName, no("a script cannot have that name")),
    (DomainError, no("this cannot be done now, try again later", "TRYLATER")),
)
_QUOTA_TEXTS = {
    "MAXSCRIPTS": "the account has as many scripts as it may",
    "MAXSIZE": "the script takes more room than it may",
}


class OwnScripts:
    """Carries out commands on the scripts of one account. Nothing is stored that does not compile."""

    def __init__(
        self,
        account_id: str,
        scripts: IScripts,
        quota: ScriptQuota,
        checker: ScriptChecker,
        write: Callable[[bytes], None],
    ) -> None:
        """:param write: takes the lines that stand before what ends an answer."""
        self._account_id = account_id
        self._scripts = scripts
        self._quota = quota
        self._checker = checker
        self._write = write

    async def carry_out(self, command: ManageCommand) -> ManageReply:
        """Return what ends the answer."""
        try:
            return await _COMMANDS[command.verb](self, command)
        except ScriptQuotaReached as error:
            return no(_QUOTA_TEXTS[error.limit], f"QUOTA/{error.limit}")
        except DomainError as error:
            return next(reply for kind, reply in _REFUSALS if isinstance(error, kind))

    async def _have_space(self, command: ManageCommand) -> ManageReply:
        await self._scripts.check_room(self._account_id, command.names[0], command.size, self._quota)
        return ok()

    async def _put(self, command: ManageCommand) -> ManageReply:
        name, source = command.names[0], command.script
        # Before the work of looking at it.
        await self._scripts.check_room(self._account_id, name, len(source), self._quota)
        reply = await self._look(source)
        if reply.word == "OK":
            await self._scripts.put(self._account_id, name, source, self._quota)
        return reply

    async def _check(self, command: ManageCommand) -> ManageReply:
        return await self._look(command.script)

    async def _look(self, source: bytes) -> ManageReply:
        if not source:
            return no("the script is empty")
        mistakes, warnings = await self._checker.report(source)
        if mistakes:
            return no("\r\n".join(mistakes))
        return ok("\r\n".join(warnings), "WARNINGS") if warnings else ok()

    async def _list(self, command: ManageCommand) -> ManageReply:
        for one in await self._scripts.listing(self._account_id):
            name = string(one.name.encode())
            self._write(line(name, b"ACTIVE") if one.active else line(name))
        return ok()

    async def _set_active(self, command: ManageCommand) -> ManageReply:
        """A script that compiled when it was stored need not any more: then it does not become active."""
        name = command.names[0]
        if name:
            stored = await self._scripts.read(self._account_id, name)
            mistakes, _ = await self._checker.report(stored.source)
            if mistakes:
                return no("\r\n".join(mistakes))
        await self._scripts.activate(self._account_id, name)
        return ok()

    async def _get(self, command: ManageCommand) -> ManageReply:
        stored = await self._scripts.read(self._account_id, command.names[0])
        self._write(line(literal(stored.source)))
        return ok()

    async def _delete(self, command: ManageCommand) -> ManageReply:
        await self._scripts.delete(self._account_id, command.names[0])
        return ok()

    async def _rename(self, command: ManageCommand) -> ManageReply:
        await self._scripts.rename(self._account_id, *command.names)
        return ok()


_COMMANDS: dict[str, Callable[[OwnScripts, ManageCommand], Awaitable[ManageReply]]] = {
    "HAVESPACE": OwnScripts._have_space,
    "PUTSCRIPT": OwnScripts._put,
    "LISTSCRIPTS": OwnScripts._list,
    "SETACTIVE": OwnScripts._set_active,
    "GETSCRIPT": OwnScripts._get,
    "DELETESCRIPT": OwnScripts._delete,
    "RENAMESCRIPT": OwnScripts._rename,
    "CHECKSCRIPT": OwnScripts._check,
}
