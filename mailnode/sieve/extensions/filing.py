"""The actions of the base language (RFC 5228 4)."""

from __future__ import annotations

from mailnode.errors import BadAddress
from mailnode.sieve.actions import DiscardMessage, FileMessage, RedirectMessage, RejectMessage
from mailnode.sieve.addresses import checked_address, outbound_address
from mailnode.sieve.constructs import ArgumentKind, Checking, ScriptCall, SieveArgument, SieveCommand, SieveExtension
from mailnode.sieve.extensions.delivery_options import check_options, deliver_by, notices
from mailnode.sieve.extensions.lists import check_list, named_list, no_list
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.places import check_mailbox, check_use, checked_mailbox, flags_of, wanted_use
from mailnode.sieve.questions import ListKnown
from mailnode.sieve.run import ScriptRun


def _delivers(run: ScriptRun, call: ScriptCall) -> None:
    """RFC 5429 2.4: what was refused is not delivered as well."""
    if any(isinstance(one, RejectMessage) for one in run.actions):
        raise ScriptFailed(f"{call.row.name} does not go together with reject")


def _keep(run: ScriptRun, call: ScriptCall) -> None:
    _delivers(run, call)
    run.note("keep")
    run.keep(flags_of(run, call))


def _discard(run: ScriptRun, call: ScriptCall) -> None:
    run.note("discard")
    run.keeps = False
    run.act(DiscardMessage())


def _fileinto(run: ScriptRun, call: ScriptCall) -> None:
    _delivers(run, call)
    mailbox = checked_mailbox(run.text(call, "mailbox"))
    action = FileMessage(
        mailbox,
        flags_of(run, call),
        call.has(":create"),
        wanted_use(run, call),
        run.text(call, ":mailboxid"),
        run.mail.content(),
    )
    run.note(f'file into "{mailbox}"')
    here = mailbox == run.facts.mailbox and not action.use and not action.mailbox_id
    if here and run.facts.is_delivery:  # else it is a message of its own (RFC 6785 3.3)
        run.keep(action.flags)  # RFC 5228 2.10.3: it is filed there once
    else:
        _file_once(run, action)
    if not call.has(":copy"):
        run.keeps = False


def _file_once(run: ScriptRun, action: FileMessage) -> None:
    """Said again of a mailbox, what was said last holds (RFC 5228 2.10.3)."""
    place = (action.mailbox, action.use, action.mailbox_id)
    for one in run.actions:
        if isinstance(one, FileMessage) and (one.mailbox, one.use, one.mailbox_id) == place:
            run.actions[run.actions.index(one)] = action
            return
    run.act(action)


def _redirect(run: ScriptRun, call: ScriptCall) -> None:
    _delivers(run, call)
    written = run.text(call, "address")
    from_list = call.has(":list")
    address = named_list(written) if from_list else checked_address(written, "redirect")
    if from_list and not run.answer(ListKnown(address)):
        raise no_list(address)  # RFC 6134 2.3
    run.note(f"redirect to {address}")
    if not any(isinstance(one, RedirectMessage) and one.address == address for one in run.actions):
        run.act(
            RedirectMessage(
                address,
                *notices(run, call),
                deliver_by(run, call),
                from_list,
                run.mail.content_sent_on(),
            )
        )
    if not call.has(":copy"):
        run.keeps = False


def _asks_list(run: ScriptRun, call: ScriptCall) -> list[ListKnown]:
    return [ListKnown(named_list(run.text(call, "address")))] if call.has(":list") else []


def _check_fileinto(checking: Checking, call: ScriptCall) -> None:
    check_mailbox(checking, call, "mailbox")
    check_use(checking, call)


def _check_redirect(checking: Checking, call: ScriptCall) -> None:
    check_options(checking, call)
    for text in call.constants("address"):
        try:
            if call.has(":list"):
                check_list(text)
            else:
                outbound_address(text)
        except ValueRefused as error:
            checking.refuse(call, "address", str(error))
        except BadAddress as error:
            checking.refuse(call, "address", f'"{text[:80]}" is no address: {error}')


EXTENSIONS = (
    SieveExtension(
        "",
        "RFC 5228 4",
        "actions",
        commands=(
            SieveCommand("keep", run=_keep),
            SieveCommand("discard", run=_discard),
            SieveCommand(
                "redirect",
                (SieveArgument("address", ArgumentKind.STRING),),
                run=_redirect,
                check=_check_redirect,
                asks=_asks_list,
            ),
        ),
    ),
    SieveExtension(
        "fileinto",
        "RFC 5228 4.1",
        "fileinto",
        commands=(
            SieveCommand(
                "fileinto", (SieveArgument("mailbox", ArgumentKind.STRING),), run=_fileinto, check=_check_fileinto
            ),
        ),
    ),
)
