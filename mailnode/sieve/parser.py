"""The grammar of a script (RFC 5228 8.2): tokens in, a tree out."""

from __future__ import annotations

from mailnode.sieve.faults import ScriptMistake, ScriptRefused
from mailnode.sieve.lexer import END, IDENTIFIER, MARK, NUMBER, STRING, TAG, SieveToken, tokens
from mailnode.sieve.limits import MAX_NESTING, MAX_NODES
from mailnode.sieve.tree import ScriptArgument, ScriptNode


def parse(text: str) -> tuple[ScriptNode, ...]:
    """Return the commands of a script. :raises ScriptRefused: it is none; the first thing wrong is told."""
    return _ScriptReader(text).script()


class _ScriptReader:
    """One token ahead of what was read."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._next = next(self._tokens)
        self._nodes = 0

    def _take(self) -> SieveToken:
        taken = self._next
        if taken.kind != END:
            self._next = next(self._tokens)
        return taken

    def _is(self, mark: str) -> bool:
        return self._next.kind == MARK and self._next.value == mark

    def _refused(self, text: str, token: SieveToken | None = None) -> ScriptRefused:
        place = token or self._next
        return ScriptRefused([ScriptMistake(place.line, place.column, text)])

    def _shown(self) -> str:
        if self._next.kind == END:
            return "the end of the script"
        if self._next.kind == STRING:
            return "a string"
        return f":{self._next.value}" if self._next.kind == TAG else str(self._next.value)

    def script(self) -> tuple[ScriptNode, ...]:
        """script = *command"""
        commands = []
        while self._next.kind != END:
            commands.append(self._command(0))
        return tuple(commands)

    def _command(self, depth: int) -> ScriptNode:
        """command = identifier arguments (";" / block)"""
        name = self._name("a command", depth)
        arguments, tests, is_list = self._arguments(depth)
        block: tuple[ScriptNode, ...] | None = None
        if self._is("{"):
            block = self._block(depth)
        elif self._is(";"):
            self._take()
        else:
            raise self._refused(f"a semicolon or a block should follow {name.value}, not {self._shown()}")
        return ScriptNode(str(name.value), arguments, tests, block, name.line, name.column, is_list)

    def _name(self, what: str, depth: int) -> SieveToken:
        if self._next.kind != IDENTIFIER:
            raise self._refused(f"{what} should stand here, not {self._shown()}")
        if depth > MAX_NESTING:
            raise self._refused(f"blocks and tests stand in each other more than {MAX_NESTING} deep")
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refused(f"the script has more than {MAX_NODES} commands and tests")
        return self._take()

    def _block(self, depth: int) -> tuple[ScriptNode, ...]:
        """block = "{" *command "}" """
        opened = self._take()
        commands = []
        while not self._is("}"):
            if self._next.kind == END:
                raise self._refused("this block has no end: } is missing", opened)
            commands.append(self._command(depth + 1))
        self._take()
        return tuple(commands)

    def _arguments(self, depth: int) -> tuple[tuple[ScriptArgument, ...], tuple[ScriptNode, ...], bool]:
        """arguments = *argument [ test / test-list ]"""
        found: list[ScriptArgument] = []
        while True:
            token = self._next
            if token.kind in (NUMBER, TAG, STRING):
                self._take()
                found.append(ScriptArgument(token.kind, token.value, token.line, token.column))
            elif self._is("["):
                found.append(self._strings())
            else:
                break
        if self._next.kind == IDENTIFIER:
            return tuple(found), (self._test(depth + 1),), False
        if self._is("("):
            return tuple(found), self._tests(depth), True
        return tuple(found), (), False

    def _strings(self) -> ScriptArgument:
        """string-list = "[" string *("," string) "]" """
        opened = self._take()
        values: list[str] = []
        while True:
            if self._next.kind != STRING:
                raise self._refused(f"a string should stand in this list, not {self._shown()}")
            values.append(str(self._take().value))
            if self._is("]"):
                self._take()
                return ScriptArgument("strings", tuple(values), opened.line, opened.column)
            self._comma("list of strings", "]")

    def _comma(self, what: str, end: str) -> None:
        if not self._is(","):
            raise self._refused(f"a comma or {end} should stand in this {what}, not {self._shown()}")
        self._take()

    def _test(self, depth: int) -> ScriptNode:
        """test = identifier arguments"""
        name = self._name("a test", depth)
        arguments, tests, is_list = self._arguments(depth)
        return ScriptNode(str(name.value), arguments, tests, None, name.line, name.column, is_list)

    def _tests(self, depth: int) -> tuple[ScriptNode, ...]:
        """test-list = "(" test *("," test) ")" """
        self._take()
        found = []
        while True:
            found.append(self._test(depth + 1))
            if self._is(")"):
                self._take()
                return tuple(found)
            self._comma("list of tests", ")")
