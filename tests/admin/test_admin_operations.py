"""Every operation is declared once: the control socket, the direct way to the store and the command come from that."""

import os
from pathlib import Path
from typing import Literal, TypedDict, get_args, get_type_hints, is_typeddict

import click
import pytest
from click.testing import CliRunner
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailnode.admin.administration import Administration, RunningServer, StoppedStore, StoreFiles
from mailnode.admin.control_client import ask
from mailnode.admin.control_socket import ControlFactory, ControlPort
from mailnode.admin.dispatch import OPERATIONS, run
from mailnode.admin.operations import Octets, OperationFailed, Reason, Secret, operation
from mailnode.config.demo import demo_config
from mailnode.ctl.main import main
from mailnode.ctl.parts import AS_JSON, EXIT_CODES, PASSWORD_STDIN, CommandGroup, Place
from mailnode.ctl.tree import grow
from mailnode.ctl.words import WORDS
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration

NO_OPERATIONS = {
    ("check",),
    ("demo",),
    ("setup",),
    ("sieve", "check"),
    ("sieve", "test"),
}  # they look at files and the machine
# What does many operations each: those of the noun "moving".
OF_MANY = {("import", kind) for kind in ("imap", "maildir", "mbox", "tar")}
OF_MANY |= {("export", kind) for kind in ("maildir", "mbox", "tar")}
PAGE = (Path(__file__).parents[2] / "docs/commands.rst").read_text()


class Greeting(TypedDict):
    """The result of the operation that is added here."""

    greeting: str
    running: bool


@operation("greeting.say")
async def say(
    admin: Administration, to: str, tone: Literal["low", "high"] = "low", size: Octets | None = None
) -> Greeting:
    """Greet somebody."""
    return {
        "greeting": f"hello {to} {tone} {size} {len(await admin.directory.domains())}",
        "running": bool(admin.server),
    }


@operation("greeting.forget", destroys=True)
async def forget(admin: Administration, names: list[str], password: Secret) -> Greeting:
    """Forget who was greeted."""
    return {"greeting": f"{names} {password}", "running": bool(admin.server)}


class Running:
    """A server that runs, as far as operations ask."""

    async def reload(self):
        return {"mistakes": ["tls.key: no such file"]}

    async def status(self):
        return {"version": "0"}


def tree():
    """The command line, made anew of the table as it is now."""

    @click.group(cls=CommandGroup)
    @click.option("--data", type=click.Path(path_type=Path))
    @click.pass_context
    def root(ctx, data):
        ctx.obj = Place(None, data)

    grow(root, OPERATIONS)
    return root


def leaves(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {path: command for path, command in leaves(main) if path not in NO_OPERATIONS | OF_MANY}


def path_of(name):
    words = WORDS.get(name)
    return (words.path if words is not None else ()) or tuple(name.split("."))


def is_command(name):
    return name not in WORDS or WORDS[name].is_command


def test_every_operation_is_a_command_and_every_command_an_operation():
    assert sorted(path_of(name) for name in OPERATIONS if is_command(name)) == sorted(COMMANDS)
    others = {name for name in OPERATIONS if not is_command(name)}
    assert {name for name in others if not name.startswith("moving.")} == {
        "ping",
        "account.check",
        "account.trial-login",
        "account.trial-end",
    }


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_command(name)])
def test_a_command_has_the_parameters_of_its_operation(name):
    command = COMMANDS[path_of(name)]
    of_words = {AS_JSON.name, PASSWORD_STDIN.name, "yes", "everything", "no_receive", "form"}
    given = {parameter.name for parameter in command.params} - of_words
    wanted = {parameter.name for parameter in OPERATIONS[name].parameters if parameter.type is not Secret}
    assert given == wanted
    assert hasattr(command, "question") == OPERATIONS[name].destroys


def test_words_are_said_of_operations_there_are():
    assert set(WORDS) <= set(OPERATIONS)
    for name, words in WORDS.items():
        parameters = {parameter.name for parameter in OPERATIONS[name].parameters}
        assert {*words.options, *words.instead} <= parameters, name
        assert bool(words.question) == OPERATIONS[name].destroys, name


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_result_has_a_type_and_its_fields_are_in_the_documentation(name):
    result = get_type_hints(OPERATIONS[name].function)["return"]
    (shown,) = get_args(result) or (result,)
    assert is_typeddict(shown)
    if WORDS[name].output is not None and name not in ("reload", "status", "store.accept-older"):
        assert [field for field in get_type_hints(shown) if f"``{field}``" not in PAGE and field != "removed"] == []


def test_each_reason_has_its_exit_code_and_the_documentation_tells_it():
    assert sorted(EXIT_CODES) == sorted(Reason)
    assert [code for code in EXIT_CODES.values() if f"   * - {code}\n" not in PAGE] == []


# Declarations


def test_a_declaration_knows_its_parameters():
    to, tone, size = say.parameters
    assert (to.name, to.type, to.required) == ("to", str, True)
    assert (tone.choices, tone.required, tone.default) == (("low", "high"), False, "low")
    assert (size.type, size.nullable, size.default) == (Octets, True, None)
    assert (say.works_on, say.changes, say.destroys, say.about) == (Administration, False, False, "Greet somebody.")
    assert forget.changes and forget.destroys
    assert OPERATIONS["status"].works_on is RunningServer
    assert OPERATIONS["store.accept-older"].works_on is StoreFiles
    assert OPERATIONS["store.go-back"].works_on is StoppedStore


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs to"),
        ({"to": 1}, "to: should be text"),
        ({"to": None}, "to: should be text"),
        ({"to": "x", "tone": "flat"}, "flat: should be one of low, high"),
        ({"to": "x", "size": "1"}, "size: should be a whole number"),
        ({"to": "x", "size": True}, "size: should be a whole number"),
        ({"to": "x", "admin": 1}, "takes no admin"),
    ],
)
def test_arguments_are_held_against_the_declaration(arguments, words):
    with pytest.raises(OperationFailed, match=words) as failed:
        say.check(arguments)
    assert failed.value.reason is Reason.WRONG_VALUE
    say.check({"to": "x", "tone": "high", "size": None})
    say.check({"to": "x", "size": 3})


def test_a_secret_is_never_what_an_operation_is_about():
    assert forget.subject({"password": "s", "names": ["a"]}) == ""
    assert OPERATIONS["account.password"].subject({"password": "s", "address": "a@b.test"}) == "a@b.test"


# Where an operation can be done


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


def test_what_is_for_a_running_server_makes_no_store(data):
    for name in (name for name in OPERATIONS if OPERATIONS[name].works_on is RunningServer):
        arguments = ["mail-00"] * any(one.required for one in OPERATIONS[name].parameters)
        done = CliRunner().invoke(main, ["--data", str(data), *path_of(name), *arguments])
        assert done.exit_code == 4 and "no server is running" in done.stderr
    assert not list(data.iterdir())


def test_a_running_server_s_own_operations_and_those_on_files_are_kept_apart(data):
    with administration(demo_config(data)) as admin:
        for name, arguments, reason in (
            ("status", {}, Reason.UNREACHABLE),
            ("store.go-back", {}, Reason.CONFLICT),
        ):
            with pytest.raises(OperationFailed) as failed:
                run_now(run(admin, name, arguments))
            assert failed.value.reason is reason
        assert "stop it first" in failed.value.text


class AllThreeWaysTests(TestCase):
    """Two operations that only this file declares, over a real socket, on a real store, and as commands."""

    timeout = 60

    def setUp(self):
        self.data = Path(self.mktemp()).absolute()
        os.makedirs(self.data, mode=0o700)
        for added in (say, forget):
            OPERATIONS[added.name] = added
            self.addCleanup(OPERATIONS.pop, added.name)

    def command(self, *arguments):
        done = CliRunner().invoke(tree(), ["--data", str(self.data), *arguments], input="a secret\n")
        return done.exit_code, done.stdout, done.stderr

    async def test_an_added_operation_is_reached_on_the_store(self):
        assert self.command("greeting", "say", "alice", "--tone", "high", "--size", "2K") == (
            0,
            "greeting  hello alice high 2048 1\nrunning   no\n",
            "",
        )
        assert self.command("greeting", "say", "alice", "--tone", "flat")[0] == 2
        assert self.command("greeting", "forget", "a", "b", "--password-stdin")[0] == 2
        done = self.command("greeting", "forget", "a", "b", "--password-stdin", "--yes", "--json")
        assert done[0] == 0 and "['a', 'b'] a secret" in done[1]

    async def test_an_added_operation_is_reached_through_the_socket(self):
        with administration(demo_config(self.data)) as opened:
            admin = Administration(
                opened.directory,
                opened.mail,
                opened.queue,
                opened.clock,
                opened.threads,
                opened.hints,
                opened.make_credentials,
                opened.weakness,
                opened.published,
                opened.dns,
                opened.routing,
                opened.suppressions,
                opened.sent,
                opened.sending_settings,
                opened.tls_results,
                opened.tls_reports,
                opened.check_store,
                opened.acknowledge_damage,
                opened.policies,
                opened.policy_tally,
                opened.dmarc_results,
                opened.dmarc_reports,
                opened.received_reports,
                opened.filters,
                opened.scripts,
                opened.named_scripts,
                opened.script_quota,
                opened.index,
                opened.trials,
                opened.deleted,
                opened.open_backup,
                opened.examining,
                server=Running(),
            )
            port = ControlPort(reactor, self.data, ControlFactory(admin))
            port.open()
            try:
                answer = await deferToThread(ask, self.data, "greeting.say", {"to": "bob"})
                assert answer == {"greeting": "hello bob low None 1", "running": True}
                done = await deferToThread(self.command, "greeting", "say", "bob")
                assert done == (0, "greeting  hello bob low None 1\nrunning   yes\n", "")
                with self.assertRaises(OperationFailed) as caught:
                    await deferToThread(ask, self.data, "reload", {})
                assert caught.exception.reason is Reason.FAILED and "tls.key" in caught.exception.text
            finally:
                await port.close()
