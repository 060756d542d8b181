"""Control structures and the tests that join others (RFC 5228 3 and 5)."""

from __future__ import annotations

from mailnode.sieve.constructs import ScriptCall, SieveCommand, SieveExtension, SieveTest, Tests
from mailnode.sieve.interpreter import Interpreter, Steps, Verdicts
from mailnode.sieve.run import ScriptRun, Stopped


def _if(interpreter: Interpreter, call: ScriptCall) -> Steps:
    branch: ScriptCall | None = call
    while branch is not None:
        if not branch.tests or (yield from interpreter.test(branch.tests[0])):
            yield from interpreter.block(branch.block)
            return
        branch = branch.otherwise


def _stop(run: ScriptRun, call: ScriptCall) -> None:
    run.note("stop")
    raise Stopped


def _allof(interpreter: Interpreter, call: ScriptCall) -> Verdicts:
    for test in call.tests:
        if not (yield from interpreter.test(test)):
            return False
    return True


def _anyof(interpreter: Interpreter, call: ScriptCall) -> Verdicts:
    for test in call.tests:
        if (yield from interpreter.test(test)):
            return True
    return False


def _not(interpreter: Interpreter, call: ScriptCall) -> Verdicts:
    return not (yield from interpreter.test(call.tests[0]))


EXTENSIONS = (
    SieveExtension(
        "",
        "RFC 5228 3 and 5",
        "control structures; tests of tests",
        commands=(
            SieveCommand("if", control=_if, tests=Tests.ONE, block=True),
            SieveCommand("elsif", control=_if, tests=Tests.ONE, block=True),
            SieveCommand("else", control=_if, block=True),
            SieveCommand("stop", run=_stop),
        ),
        tests=(
            SieveTest("allof", control=_allof, tests=Tests.LIST),
            SieveTest("anyof", control=_anyof, tests=Tests.LIST),
            SieveTest("not", control=_not, tests=Tests.ONE),
            SieveTest("true", holds=lambda run, call: True),
            SieveTest("false", holds=lambda run, call: False),
        ),
    ),
    SieveExtension(
        "encoded-character",
        "RFC 5228 2.4.2.4",
        "characters by their numbers in strings",
        in_ihave=False,
    ),
)
