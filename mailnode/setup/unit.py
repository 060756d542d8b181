"""The unit of systemd that runs the server, hardened; etc/mailnode.service is the same for the usual places."""

from __future__ import annotations

from pathlib import Path

from mailnode.setup.row import SetupPlaces

USUAL_CONFIG = "/etc/mailnode/mailnode.toml"
USUAL_DATA = "/var/lib/mailnode"

_UNIT = """\
[Unit]
Description=mailnode mail server
After=network-online.target nss-lookup.target
Wants=network-online.target

[Service]
Type=notify
ExecStartPre={start} --check
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStartSec=300
TimeoutStopSec=60
Restart=on-failure
RestartSec=5

User={user}
Group={group}
{directories}
ReadWritePaths={webroot}
WorkingDirectory={data}
UMask=0077
LimitNOFILE=65536

AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
# MemoryDenyWriteExecute= is left out: the TLS library makes its callbacks at run time.
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def start_command(places: SetupPlaces) -> list[str]:
    """Return what runs the server in the foreground."""
    return [str(places.programs / "twistd"), "--nodaemon", "--pidfile=", "mailnode", "--config", str(places.config)]


def unit_text(places: SetupPlaces, user: str, group: str) -> str:
    """Return the unit. Directories that are not the usual ones are named, since systemd makes only those."""
    directories = []
    if str(places.data) == USUAL_DATA:
        directories += ["StateDirectory=mailnode", "StateDirectoryMode=0700"]
    else:
        directories += [f"ReadWritePaths={_quoted(_specified(places.data))}"]
    if str(places.config) == USUAL_CONFIG:
        directories += ["ConfigurationDirectory=mailnode"]
    return _UNIT.format(
        start=" ".join(map(_escaped, start_command(places))),
        user=user,
        group=group,
        directories="\n".join(directories),
        data=_specified(places.data),  # the one path that systemd takes as it stands, without quotes
        webroot=_quoted(f"-{_specified(places.webroot)}"),
    )


def _escaped(word: str) -> str:
    """Return a word of a command as systemd reads it: its own signs doubled, in quotes where it has spaces."""
    return _quoted(word.replace("%", "%%").replace("$", "$$"))


def _specified(path: Path) -> str:
    """Return a path outside of commands, where a dollar is one."""
    return str(path).replace("%", "%%")


def _quoted(word: str) -> str:
    if any(sign in word for sign in " \t\"'\\;"):
        return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return word
