"""Writes docs/commands.rst from the commands themselves: ``python -m mailnode.ctl.docs > docs/commands.rst``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc

import click

from mailnode.ctl.main import main

_HEAD = """\
Commands
========

.. This page is generated from mailnode/ctl; change it there.

``mailnode [--config FILE] [--data DIR] COMMAND``. {help}

Options stand after the command they belong to; ``--json`` prints what is shown as JSON.

Exit codes
----------

.. list-table::
   :header-rows: 1

   * - code
     - meaning
   * - 0
     - done
   * - 1
     - failed; standard error says why
   * - 2
     - the command line, an address or a value is wrong
   * - 3
     - there is no such domain, account, alias, mailbox, script or envelope
   * - 4
     - no server could be reached and its store could not be opened
   * - 5
     - it is there already, or something still stands on it
   * - 6
     - the server is too busy now; try again

Nothing but mistakes, questions and warnings goes to standard error. A command that changes something and succeeds prints
nothing, unless it says otherwise. One that leaves an alias, or a domain's catch-all, with a target in a local domain that
does not exist warns of it, and ends with 0. A command that destroys asks first when a terminal is there to ask, and does
nothing without a yes; from a script it needs ``--yes``, whatever stands on standard input, and ends with 2 without it.

JSON
----

``domain list`` and ``show``: ``name`` (as written), ``key``, ``alias_of``, ``catch_all``, ``separator``, ``fixed``
(the configuration file names it); ``show`` also ``accounts``, ``aliases`` and ``postmaster`` (whom mail for
``postmaster`` and ``MAILER-DAEMON`` of it reaches). ``domain records``: ``domain`` (in A-labels), ``records``, each
with ``name``, ``type``, ``value`` and ``why``, and ``notes``. ``doctor``: ``ok``, and ``items`` with
``name``, ``state``, ``seen``, ``mend`` and ``explained``. ``certificate list`` and ``renew``: ``directory``, ``certificates``, each
with ``kind`` (ecdsa, rsa), ``names``, ``not_after``, ``renew_at`` ("": as soon as it can be), ``why``, ``next_key`` (for TLSA
records 3 1 1) and ``note`` (why that key waits), ``trouble`` (why the last try failed), ``failures``, ``next_try`` and
``under_way``. ``domain check``: ``ok``, and ``records`` with ``verdict``
(right, missing, differs, hint, failed), ``wanted``, ``found`` and ``advice``. ``domain dkim`` and what changes its keys:
``selector``, ``algorithm`` (rsa, ed25519), ``state`` (next, active, retired, spent), ``created``, ``todo``, ``name`` and
``text`` (of its TXT record). ``account list``: ``address``, ``id``, ``status`` (active,
no-login, no-receive, suspended, deleting), ``role`` (user, admin, shared), ``created``, and so ``shared list``;
``show`` also ``addresses``, ``may_send_as`` (what
was granted beside them), ``bytes_used``, ``bytes_limit``, ``messages_used``, ``messages_limit``, ``mailboxes_limit`` (0: no
limit), ``credentials`` without their secrets and ``hidden_capabilities``. ``alias list``: ``address``, ``targets``, ``detail``,
``owner``. ``grant list``:
``address``, ``account``. ``account sending`` and ``limits``: ``account``, ``recipients_within_hour``, ``recipients_per_hour``,
``messages_within_hour``, ``messages_per_hour``, ``new_recipients_within_day``, ``new_recipients_per_day`` (limits; 0 is none),
``own_limits`` (which of them are the account's own), ``messages_within_day``, ``recipients_within_day``, ``busiest_hour``
(recipients in the busiest of 14 days), ``loud_since``, ``held``, ``suppressed``.
``account release``: ``released`` and ``envelopes``. ``suppression list`` and ``add``: ``account``,
``recipient``, ``refused_until`` ("": it bounced, and is not refused), ``bounces`` (0: it was added), ``since`` (when it
bounced last, or was added), ``last_status``, ``last_reply``.
``judge``: ``outcome`` (inbox, junk, mixed, held, refuse, defer), ``reply`` (to the client), ``stage`` and ``policy`` (where
it was refused, and by whom), ``score``, ``junk_at``, ``refuse_at``, ``refusals`` (all that there would have been), each with
``stage``, ``policy``, ``recipient`` ("": everybody) and ``reply``, ``answers``, each with ``stage``, ``recipient``,
``policy``, ``answer``, ``score``, ``reason``, ``own`` (it is about one recipient) and ``seconds``, ``lookups``, each with
``type``, ``name``, ``records``, ``failure`` and ``seconds``, ``recipients``, each with ``address``, ``outcome``, ``reply``
and ``header``, and ``header`` (fields on top of everybody's copy).
``import``: ``source``, ``address``, ``complete``, ``stopped`` (why it ended before its end), ``folders``, ``skipped`` (each with
``folder`` and ``why``), ``brought``, ``octets``, ``present``, ``flags_added``, ``failed``, ``seconds``; of each folder ``folder``,
``mailbox``, ``why`` (it has another name), ``messages`` (there), ``brought``, ``octets``, ``present`` (here already),
``flags_added``, ``flags_here_only``, ``gone_here``, ``gone_there``, ``lost_keywords``, ``failed``, ``failures``.
``import mailnode``: ``backup``, ``found``, ``present``, ``brought``, ``flags_added``, ``damaged``, ``subscribed`` (mailboxes),
``scripts`` (names), ``active_script``.
``export``: ``address``,
``target``, ``mailboxes``, ``messages`` (that are there now), ``written``, ``damaged``.
``filter list``, and what changes rules: ``account``, ``script``, ``active``, ``active_script`` ("": none is), ``rules``, each with
``name``, ``when`` (conditions in words), ``any_of``, ``folder``, ``flags``, ``forward``, ``keeps_copy``, ``delete`` and ``stop``,
and ``away`` (null: nothing is answered) with ``text``, ``subject``, ``days``, ``first`` and ``last``.
``filter show``: ``account``, ``junk`` and ``good`` (messages learnt), ``words``, ``senders``, ``learnt_at``.
``filter forget``: ``forgotten``.
``tls servers``: ``domain``, ``host``, ``level`` (the best of late: verified, encrypted, plain), ``last_verified``,
``last_encrypted``. ``tls downgrades``: ``domain``, ``host``, ``address``, ``was``, ``now`` (levels), ``since``, ``at``, ``result``
(by RFC 8460 4.3; "": no policy asked for more), ``reason``. ``tls reports``: ``domain``, ``day``, ``succeeded``, ``failed``
(connections), ``due``, ``tries``. ``tls report``: ``domain``, ``day``, ``file`` (its name), ``report`` (as RFC 8460 4.4 has it).
``dmarc reports``: ``domain``, ``source`` (an IP address), ``passed``, ``failed`` (messages), ``reports`` (how many tell of
it), ``last`` (end of what the latest is about), ``report`` (its id). ``dmarc received`` and ``tls received``: ``id``,
``received``, ``domain``, ``organization``, ``begun``, ``ended``, ``passed``, ``failed`` (messages or connections), ``sender``
(domain of the mail that brought it), ``verified`` (whether DMARC vouches for that); ``dmarc report`` and ``tls
received-report`` besides ``contact``, ``identifier`` (what they call it), ``published`` (the policy they saw), ``left_out``
(messages or connections that are not told apart) and ``rows``, each with ``source``, ``about`` (a domain), ``result``,
``passed``, ``count``, ``detail``. ``dmarc due``: ``domain``, ``day``, ``passed``, ``failed``, ``left_out``, ``due``,
``tries``. ``dmarc draft``: ``domain``, ``day``, ``file``, ``report`` (as RFC 9990 A has it).

``accounts import``: ``added``, ``present``, ``aliases_added``, ``aliases_present`` (numbers), ``dry_run`` (nothing was done).
``config diff``: ``other`` (the file, or which version) and ``differences``, each with ``key``, ``running``, ``other`` (values as
text) and ``live``. ``config apply``: ``applied`` and ``needs_restart`` (keys), ``version`` and ``until`` ("": it stays). ``config
confirm``: ``version``. ``config versions``: ``version``, ``at``, ``how`` (start, reload, apply, trial), ``state``.
``policy list``: ``name``, ``place`` (the key that names it), ``stages``, ``asked_about`` (strangers, everybody),
``on_failure``, ``options`` (as the configuration gives them), ``origin`` (its module), ``help``. ``policy stats``: of each
``policy`` how often it was ``asked``, ``refused``, ``deferred``, ``quarantined``, ``accepted``, ``suspected`` (a score above
0) with ``suspected_score`` (of all together), ``trusted`` (one below) with ``trusted_score``, ``failed``; ``milliseconds``
(of one answer, on average), ``stages``.
``mailbox list``: ``name``, ``special_use``, ``subscribed``, ``messages``, ``unseen``,
``size``, ``uidvalidity``, ``uidnext``. ``mailbox acl list``, ``set`` and ``revoke``: ``who``, ``rights`` (letters).
``sieve list``, ``put``, ``activate``, ``deactivate`` and ``rename``: ``name``, ``active``, ``size``, ``version``,
``changed``. ``sieve versions``: ``version``, ``size``, ``stored``. ``sieve show``: ``account``, ``name``, ``digest`` (SHA-256),
``source``. ``sieve delete``: ``deleted``. ``sieve attached``, ``attach`` and ``detach``: ``mailbox`` ("": all others), ``script``.
``sieve check``: of each mistake ``line``, ``column``, ``text``. ``sieve test``: ``sender``, ``recipient``, ``steps`` (``line``,
``text``), ``actions`` (each with ``action``: keep, fileinto, redirect, discard, reject, vacation, notify, remember), ``words`` (the
same for a person), ``failure`` ("": none), ``log``, ``header``.
``queue list``: ``id``, ``sender`` ("" is the null sender), ``size``,
``created``, ``expires``, ``held``, ``wanted_tls`` (of servers it goes to: "required" with REQUIRETLS, "optional" with
``TLS-Required: No``) and ``recipients``, each with ``address``, ``destination``, ``state``, ``reason`` (:doc:`queue`),
``attempts``, ``next_try``,
``last_status``, ``last_reply``, ``last_host``, ``given_up`` (by an operator: "last try", "bounced", "dropped"),
``ended`` (once the envelope is gone), ``trying_since`` and
``without_end`` (tries that ended with the server instead of an answer); of what was sent or failed ``expires``,
``wanted_tls`` and ``next_try`` are "". ``queue show`` has ``history`` too: of each try
``recipient``, ``time``, ``state`` (what it led to), ``reason``, ``status``, ``reply``, ``host``, ``address``, ``tls``.
``queue summary``: ``recipients``, ``oldest``, and
``destinations`` and ``reasons``, each with ``name``, ``recipients`` and ``ages`` (how many came less than 5, 20, 80, 320, 1280
minutes ago, or longer). ``queue pause`` and ``resume``: what is paused,
``destination`` ("" is the whole queue) and ``since``.
``queue hold`` and ``release``: ``held`` or ``released`` (the
envelope that was named) and ``envelopes``, how many.
``queue retry``, ``expire``, ``reroute`` and ``drop``: ``recipients`` (how many were meant), ``trying`` (how many of them are
in a try, which ends first) and ``held`` (how many of them wait for their release).
``queue message``: ``id``, ``content``, and ``whole``, whether that is all of it. Lists are arrays;
``show`` is one object.
``store verify``: ``ok``, ``accounts``, ``files`` (of messages), ``messages`` (that were read), ``loose`` (files that nothing needs
any more), ``faults``, ``mended`` and ``set_aside`` (messages that cannot be read). ``store acknowledge``: ``acknowledged``,
how many messages and things.
``backup``: ``backup`` (its name), ``databases`` and how many of them are ``unchanged``, ``files`` of messages,
``new_files``, ``new_octets`` (copied), ``missing`` (ids of files that are not there), ``faults`` and ``removed``
(names). ``backups``: ``backup``, ``databases``, ``files``, ``octets``, ``missing`` (a number), ``faults``.
``restore``: ``backup``, ``accounts``, ``files``, ``faults``. ``restore-mail``: ``backup``, ``found``, ``present``,
``restored``, ``damaged`` and ``messages``, the first 1,000 that were not there, each with ``mailbox``, ``subject``, ``sender``,
``date``, ``message_id`` and ``size``. ``undelete``: ``undeleted``, ``found``, ``octets`` and ``messages``, these with
``deleted``, a time, besides.
``store go-back``: ``files`` (as they were), ``aside`` (where the newer ones are) and ``accounts``.
What adds or removes an alias, or what one may lead to, tells ``dangling``: ``address`` and ``target`` of aliases that
lead nowhere since. Times are UTC as ``2026-11-23T02:15:00Z``. ``demo``: ``accounts`` with ``address`` and ``password``,
``listeners`` with ``protocol``, ``port`` and ``tls``.
"""


def render() -> str:
    """Return the whole page."""
    words = " ".join((main.help or "").split("\n\n", 1)[-1].split())
    lines = [_HEAD.format(help=words)]
    for name, command in sorted(main.commands.items()):
        lines += _group(name, command) if isinstance(command, click.Group) else _command(name, command, "-")
    return "\n".join(lines).rstrip() + "\n"


def _group(name: str, group: click.Group) -> Iterator[str]:
    yield from (name, "-" * len(name), "", cleandoc(group.help or ""), "")
    for inner, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            for deeper, below in sorted(command.commands.items()):
                yield from _command(f"{name} {inner} {deeper}", below, "~")
        else:
            yield from _command(f"{name} {inner}", command, "~")


def _command(name: str, command: click.Command, line: str) -> Iterator[str]:
    context = click.Context(command, info_name=f"mailnode {name}")
    yield from (name, line * len(name), "", f"``{' '.join(command.get_usage(context).split()[1:])}``", "")
    yield from (" ".join((command.help or "").split()), "")
    for parameter in command.params:
        shown = parameter.get_help_record(context)
        if shown is not None and isinstance(parameter, click.Option):
            yield from (f"``{shown[0]}``", f"   {shown[1]}", "")


if __name__ == "__main__":
    sys.stdout.write(render())
