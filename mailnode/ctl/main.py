"""The ``mailnode`` command."""

from __future__ import annotations

from pathlib import Path

import click

from mailnode.admin.operations import NOT_FOUND, USAGE, CommandFailed
from mailnode.config.version import VERSION
from mailnode.ctl import display
from mailnode.ctl.grants import grant
from mailnode.ctl.parts import (
    Destroying,
    Group,
    Octets,
    Place,
    as_json,
    changed,
    pass_place,
    password_stdin,
    read_password,
    show,
)
from mailnode.ctl.store import store


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", type=click.Path(path_type=Path), help="The server's configuration file.")
@click.option("--data", type=click.Path(path_type=Path), help="Its data directory, in place of the file's.")
@click.version_option(VERSION, prog_name="mailnode")
@click.pass_context
def main(ctx: click.Context, config: Path | None, data: Path | None) -> None:
    """Look after a mailnode server.

    Without --config and --data the demonstration in ./mailnode-data is meant. While the server runs, commands go through
    its control socket; while it does not, they work on its store and must be run by the owner of the data directory.
    """
    ctx.obj = Place(config, data)


@main.command()
@click.option("--user", default="", help="Who serves; for root. Without it: the owner of the data directory, or you.")
@pass_place
def check(place: Place, user: str) -> None:
    """Check the configuration file, and what it points at, without starting anything.

    Looks also at what the user who serves may read and write, and warns of what is allowed but seldom meant. Warnings
    leave the exit code at 0.
    """
    from mailnode.config.checkup import check_up, serving_user

    config = place.config()
    for warning in check_up(config, serving_user(config, user), place.file):
        click.echo(f"mailnode: warning: {warning}", err=True)
    click.echo(f"{place.file}: no mistakes" if place.file else "the embedded default: no mistakes")


@main.command()
@as_json
@pass_place
def reload(place: Place, as_json: bool) -> None:
    """Let the running server read its configuration and certificates again."""
    show(place.call("reload"), as_json, display.reloaded)


@main.command()
@as_json
@pass_place
def status(place: Place, as_json: bool) -> None:
    """Show what each process of the running server serves: the number of its configuration, its certificates.

    The number is 1 after the start and grows when a reload, or a renewed certificate, brings something new into use.
    """
    show(place.call("status"), as_json, display.status)


@main.command()
@as_json
@pass_place
def demo(place: Place, as_json: bool) -> None:
    """Show the demonstration's accounts, passwords and ports."""
    from mailnode.server import demo as demonstration

    shown = demonstration.recall(place.data())
    if shown is None:
        raise CommandFailed(NOT_FOUND, f"{place.data()}: no demonstration was started here")
    show(shown, as_json, demonstration.screen)


@main.group()
def domain() -> None:
    """Domains this server receives mail for."""


@domain.command("add")
@click.argument("name")
@click.option("--alias-of", default="", help="Every address of NAME is looked up in this domain instead.")
@pass_place
def domain_add(place: Place, name: str, alias_of: str) -> None:
    """Add a domain."""
    place.call("domain.add", name=name, alias_of=alias_of)


@domain.command("list")
@as_json
@pass_place
def domain_list(place: Place, as_json: bool) -> None:
    """List all domains."""
    show(place.call("domain.list"), as_json, display.domains)


@domain.command("show")
@click.argument("name")
@as_json
@pass_place
def domain_show(place: Place, name: str, as_json: bool) -> None:
    """Show one domain and what stands in it."""
    show(place.call("domain.show", name=name), as_json, display.record)


@domain.command("change")
@click.argument("name")
@click.option("--catch-all", help="The address that takes what no other does; empty: none.")
@click.option("--separator", help="What begins the detail of an address; empty: no details.")
@as_json
@pass_place
def domain_change(place: Place, name: str, catch_all: str | None, separator: str | None, as_json: bool) -> None:
    """Change a domain's catch-all address or separator."""
    changed(place.call("domain.change", name=name, catch_all=catch_all, separator=separator), as_json)


@domain.command("remove", cls=Destroying, question="Remove the domain {name}?")
@click.argument("name")
@as_json
@pass_place
def domain_remove(place: Place, name: str, as_json: bool) -> None:
    """Remove an empty domain. One that the configuration file names stays."""
    changed(place.call("domain.remove", name=name), as_json)


@main.group()
def account() -> None:
    """Accounts: mailboxes with a login."""


@account.command("add")
@click.argument("address")
@password_stdin
@click.option(
    "--quota-bytes", type=Octets(), default=0, help="Octets of mail it may hold, 500M or 2G too; 0: no limit."
)
@click.option("--quota-messages", type=click.IntRange(0), default=0, help="Messages it may hold; 0: no limit.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", help="Whose account it is.")
@pass_place
def account_add(
    place: Place, address: str, password_stdin: bool, quota_bytes: int, quota_messages: int, role: str
) -> None:
    """Add an account; its domain must exist. Weak passwords are refused, see [auth] in the configuration."""
    place.call("account.check", address=address, new=True)  # before anybody types a password in vain
    place.call(
        "account.add",
        address=address,
        password=read_password(password_stdin),
        quota_bytes=quota_bytes,
        quota_messages=quota_messages,
        role=role,
    )


@account.command("list")
@click.option("--domain", help="Only those of this domain.")
@as_json
@pass_place
def account_list(place: Place, domain: str | None, as_json: bool) -> None:
    """List accounts."""
    show(place.call("account.list", domain=domain), as_json, display.accounts)


@account.command("show")
@click.argument("address")
@as_json
@pass_place
def account_show(place: Place, address: str, as_json: bool) -> None:
    """Show one account: addresses, quota, usage, kinds of credentials."""
    show(place.call("account.show", address=address), as_json, display.record)


@account.command("password")
@click.argument("address")
@password_stdin
@pass_place
def account_password(place: Place, address: str, password_stdin: bool) -> None:
    """Set a new password. Sessions that logged in with the old one end. Weak ones are refused, see [auth]."""
    place.call("account.check", address=address)
    place.call("account.password", address=address, password=read_password(password_stdin))


@account.command("disable")
@click.argument("address")
@click.option("--no-login", "status", flag_value="no-login", help="Forbid logins; mail still comes in.")
@click.option("--no-receive", "status", flag_value="no-receive", help="Refuse new mail; logins still work.")
@pass_place
def account_disable(place: Place, address: str, status: str | None) -> None:
    """Suspend an account: no logins, no new mail. Live sessions end."""
    place.call("account.disable", address=address, status=status)


@account.command("enable")
@click.argument("address")
@pass_place
def account_enable(place: Place, address: str) -> None:
    """Undo disable."""
    place.call("account.enable", address=address)


@account.command("role")
@click.argument("address")
@click.argument("role", type=click.Choice(["user", "admin"]))
@pass_place
def account_role(place: Place, address: str, role: str) -> None:
    """Make an account a user's or an administrator's."""
    place.call("account.role", address=address, role=role)


@account.command("quota")
@click.argument("address")
@click.option("--bytes", "quota_bytes", type=Octets(), help="Octets of mail it may hold, 500M or 2G too; 0: no limit.")
@click.option("--messages", "quota_messages", type=click.IntRange(0), help="Messages it may hold; 0: no limit.")
@as_json
@pass_place
def account_quota(
    place: Place, address: str, quota_bytes: int | None, quota_messages: int | None, as_json: bool
) -> None:
    """Change the quota where one is given, and show it."""
    result = place.call("account.quota", address=address, quota_bytes=quota_bytes, quota_messages=quota_messages)
    show(result, as_json, display.record)


@account.command("add-address")
@click.argument("address")
@click.argument("further")
@pass_place
def account_add_address(place: Place, address: str, further: str) -> None:
    """Give the account ADDRESS the address FURTHER too."""
    place.call("account.address.add", address=address, further=further)


@account.command("remove-address", cls=Destroying, question="Take the address {further} away from its account?")
@click.argument("further")
@as_json
@pass_place
def account_remove_address(place: Place, further: str, as_json: bool) -> None:
    """Take a further address away from its account."""
    changed(place.call("account.address.remove", further=further), as_json)


@account.command("remove", cls=Destroying, question="Remove {address} and all its mail?")
@click.argument("address")
@as_json
@pass_place
def account_remove(place: Place, address: str, as_json: bool) -> None:
    """Remove an account and all its mail. Live sessions end."""
    changed(place.call("account.remove", address=address), as_json)


@main.group()
def alias() -> None:
    """Aliases: addresses that stand for others."""


@alias.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="Replace the alias if there is one.")
@click.option(
    "--detail",
    type=click.Choice(["cut", "keep", "refuse"]),
    default="cut",
    help="What becomes of +detail: dropped, passed to local targets, or the address is unknown with it.",
)
@as_json
@pass_place
def alias_add(place: Place, address: str, targets: tuple[str, ...], replace: bool, detail: str, as_json: bool) -> None:
    """Let ADDRESS stand for TARGETS."""
    result = place.call("alias.add", address=address, targets=list(targets), replace=replace, detail=detail)
    changed(result, as_json)


@alias.command("list")
@click.option("--domain", help="Only those of this domain.")
@as_json
@pass_place
def alias_list(place: Place, domain: str | None, as_json: bool) -> None:
    """List aliases."""
    show(place.call("alias.list", domain=domain), as_json, display.aliases)


@alias.command("show")
@click.argument("address")
@as_json
@pass_place
def alias_show(place: Place, address: str, as_json: bool) -> None:
    """Show one alias."""
    show(place.call("alias.show", address=address), as_json, display.record)


@alias.command("remove", cls=Destroying, question="Remove the alias {address}?")
@click.argument("address")
@as_json
@pass_place
def alias_remove(place: Place, address: str, as_json: bool) -> None:
    """Remove an alias."""
    changed(place.call("alias.remove", address=address), as_json)


main.add_command(grant)
main.add_command(store)


@main.group()
def mailbox() -> None:
    """Mailboxes of an account."""


@mailbox.command("list")
@click.argument("address")
@as_json
@pass_place
def mailbox_list(place: Place, address: str, as_json: bool) -> None:
    """List an account's mailboxes with their counts."""
    show(place.call("mailbox.list", address=address), as_json, display.mailboxes)


@mailbox.command("show")
@click.argument("address")
@click.argument("name")
@as_json
@pass_place
def mailbox_show(place: Place, address: str, name: str, as_json: bool) -> None:
    """Show one mailbox with its counts."""
    show(place.call("mailbox.show", address=address, name=name), as_json, display.record)


@mailbox.command("create")
@click.argument("address")
@click.argument("name")
@pass_place
def mailbox_create(place: Place, address: str, name: str) -> None:
    """Make a mailbox, and those above it; levels are separated by /."""
    place.call("mailbox.create", address=address, name=name)


@main.group()
def queue() -> None:
    """Mail that waits for another server."""


@queue.command("list")
@as_json
@pass_place
def queue_list(place: Place, as_json: bool) -> None:
    """List the envelopes that wait."""
    show(place.call("queue.list"), as_json, display.envelopes)


@queue.command("show")
@click.argument("envelope")
@as_json
@pass_place
def queue_show(place: Place, envelope: str, as_json: bool) -> None:
    """Show one envelope with all its recipients and the last replies."""
    show(place.call("queue.show", envelope_id=envelope), as_json, display.envelope)


@queue.command("retry")
@click.argument("envelope", required=False)
@click.option("--destination", help="Everything for this domain.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@as_json
@pass_place
def queue_retry(place: Place, envelope: str | None, destination: str | None, everything: bool, as_json: bool) -> None:
    """Try now what waits: one envelope, one destination, or everything."""
    if sum((envelope is not None, destination is not None, everything)) != 1:
        raise CommandFailed(USAGE, "give an envelope, --destination or --all")
    result = place.call("queue.retry", envelope_id=envelope, destination=destination)
    show(result, as_json, lambda answer: f"recipients due now: {answer['recipients']}")


@queue.command("hold")
@click.argument("envelope")
@pass_place
def queue_hold(place: Place, envelope: str) -> None:
    """Keep an envelope from being tried."""
    place.call("queue.hold", envelope_id=envelope)


@queue.command("release")
@click.argument("envelope")
@pass_place
def queue_release(place: Place, envelope: str) -> None:
    """Let a held envelope go on."""
    place.call("queue.release", envelope_id=envelope)


@queue.command("drop", cls=Destroying, question="Drop the envelope {envelope}? Nobody is told.")
@click.argument("envelope")
@pass_place
def queue_drop(place: Place, envelope: str) -> None:
    """Remove an envelope; nobody is told."""
    place.call("queue.drop", envelope_id=envelope)


if __name__ == "__main__":
    main()
