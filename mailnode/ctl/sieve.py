"""Commands about scripts in files: ``mailnode sieve check`` and ``mailnode sieve test``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailnode.ctl.parts import AS_JSON, here_and_now, show
from mailnode.errors import BadMailboxName

# The language is imported only where a script is looked at: other commands do without it.
if TYPE_CHECKING:
    from mailnode.sieve.trial import TriedScript

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
REFUSED = 2  # the exit code for a script with mistakes


@click.group()
def sieve() -> None:
    """Scripts that filter mail."""


@sieve.command(params=[AS_JSON])
@click.argument("file", type=FILE)
def check(file: Path, as_json: bool) -> None:
    """Say what is wrong with a script in a file, each mistake with its line and column.

    Nothing else is needed: no configuration, no server. A script with mistakes ends with 2.
    """
    from mailnode.sieve.checker import compile_script
    from mailnode.sieve.faults import ScriptRefused

    try:
        compile_script(_octets(file))
        mistakes: list[dict[str, object]] = []
    except ScriptRefused as refused:
        mistakes = [{"line": one.line, "column": one.column, "text": one.text} for one in refused.mistakes]
    lines = [f"{file}:{one['line']}:{one['column']}: {one['text']}" for one in mistakes]
    show(mistakes, as_json, lambda found: "\n".join(lines) or f"{file}: no mistakes")
    if mistakes:
        raise SystemExit(REFUSED)


@sieve.command(params=[AS_JSON])
@click.argument("file", type=FILE)
@click.argument("message", type=FILE)
@click.option("--from", "sender", help='The envelope sender, "" for none; without it: what the message says.')
@click.option("--to", "recipient", help="The envelope recipient; without it: what the message says.")
@click.option("--headers", is_flag=True, help="Show the header too, as the script leaves it.")
@click.option("--mailbox", "mailboxes", multiple=True, help="A mailbox that is there, beside INBOX; may be repeated.")
@click.option("--scripts", "personal", type=FOLDER, help="Where scripts are that it includes: NAME, or NAME.sieve.")
@click.option("--global", "shared", type=FOLDER, help="The same for those it includes with :global.")
def test(
    file: Path,
    message: Path,
    sender: str | None,
    recipient: str | None,
    headers: bool,
    mailboxes: tuple[str, ...],
    personal: Path | None,
    shared: Path | None,
    as_json: bool,
) -> None:
    """Run a script on a message in a file, and tell step by step what it does.

    Nothing is filed, sent or remembered. What the script asks about the account beyond the mailboxes and scripts that are given is
    answered with no. A script with mistakes ends with 2, one that fails while it runs with 1.
    """
    from mailnode.sieve.faults import ScriptRefused
    from mailnode.sieve.trial import trial_account, try_script

    now, zone = here_and_now()
    folders = {"personal": personal, "global": shared}
    try:
        account = trial_account(mailboxes, lambda wanted: _included(folders[wanted.location], wanted.name))
        tried = try_script(_octets(file), _octets(message), now, zone, sender, recipient, account)
    except BadMailboxName as error:
        raise click.BadParameter(str(error), param_hint="--mailbox") from None
    except ScriptRefused as refused:
        for mistake in refused.mistakes:
            click.echo(f"{file}:{mistake.line}:{mistake.column}: {mistake.text}", err=True)
        raise SystemExit(REFUSED) from None
    show(tried, as_json, lambda found: _screen(found, headers))
    if tried["failure"]:
        raise SystemExit(1)


def _included(folder: Path | None, name: str) -> bytes | None:
    """Return a script of a folder by its name, None where there is none. No name that can be included leads out of it."""
    if folder is None:
        return None
    try:
        there = [path for path in (folder / name, folder / f"{name}.sieve") if path.is_file()]
    except OSError:  # a name that no file can have
        there = []
    return _octets(there[0]) if there else None


def _octets(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


def _screen(tried: TriedScript, headers: bool) -> str:
    """What a person reads."""
    lines = [f"from <{tried['sender']}> to <{tried['recipient']}>", ""]
    lines += [f"{step['line']:>5}  {step['text']}" for step in tried["steps"]]
    lines += [f"  log  {line}" for line in tried["log"]]
    if tried["failure"]:
        lines += ["", f"The script fails: {tried['failure']}"]
    lines += ["", "The message is", *(f"  {words}" for words in tried["words"])]
    if headers:
        lines += ["", tried["header"].rstrip("\n")]
    return "\n".join(lines)
