"""The import table of docs/design.rst, walked over every import in the tree."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mailnode"

PURE = {
    "dialog": {"life"},
}
EVERYWHERE = {"values", "errors"}
SESSION_SIDE = {"interfaces", "message"} | EVERYWHERE
PROTOCOL = {"dialog"} | SESSION_SIDE
# room -> rooms of mailnode it may see, its own package always included
MAY_SEE = {
    "values": {"errors"},
    "errors": set(),
    "durable": set(),
    "message": EVERYWHERE,
    "interfaces": {"sieve"} | EVERYWHERE,
    "dialog": {"interfaces"} | EVERYWHERE,
    "smtp": PROTOCOL,
    "imap": {"sieve"} | PROTOCOL,
    "pop3": PROTOCOL,
    "managesieve": PROTOCOL | {"sieve"},
    "auth": SESSION_SIDE,
    "policy": SESSION_SIDE,
    "delivery": {"sieve"} | SESSION_SIDE,
    "queue": SESSION_SIDE,
    "upkeep": SESSION_SIDE,
    "web": SESSION_SIDE,
    "store": {"durable", "interfaces"} | EVERYWHERE,
    "net": {"durable", "interfaces"} | EVERYWHERE,
    "config": {"durable", "interfaces", "sieve"} | EVERYWHERE,
    "checks": SESSION_SIDE,
    "acme": {"durable"} | SESSION_SIDE,
    "moving": {"durable"} | SESSION_SIDE,
    "admin": {"checks", "sieve"} | SESSION_SIDE,
    "setup": {"admin", "checks", "config", "durable"} | SESSION_SIDE,
    "sieve": {"message"} | EVERYWHERE,
    "ctl": {"admin", "config", "interfaces", "moving", "setup", "sieve"} | EVERYWHERE,
    "interpreter": {"message"} | EVERYWHERE,
    "tap": {
        "config",
        "errors",
        "interfaces",
        "interpreter",
        "server.app",
        "server.config_source",
        "server.configuration",
        "server.demo",
        "server.logs",
        "server.pidfile",
        "server.processes.handover",
        "server.processes.setup",
        "server.services",
    },
    # each module of server sees what it says it is for; its own package is not included
    "server.app": {
        "admin",
        "auth",
        "config",
        "delivery",
        "errors",
        "interfaces",
        "net",
        "upkeep",
        "values",
        "web",
        "server.administration",
        "server.applying",
        "server.config_source",
        "server.doctoring",
        "server.examining",
        "server.health",
        "server.issued",
        "server.issuing",
        "server.judging",
        "server.outgoing",
        "server.partition_service",
        "server.polling",
        "server.ports",
        "server.process",
        "server.processes.first",
        "server.processes.handover",
        "server.processes.hints",
        "server.publishing",
        "server.reloading",
        "server.runtime",
        "server.services",
        "server.serving",
        "server.stores",
    },
    "server.process": {"net", "web", "server.runtime", "server.services", "server.serving", "server.stores"},
    "server.services": {"interfaces"},
    "server.runtime": {"config", "imap", "interfaces", "message", "net", "store", "web", "server.reading"},
    "server.reading": {"message", "policy", "store", "values"},
    "server.serving": {
        "admin",
        "config",
        "interfaces",
        "net",
        "values",
        "web",
        "server.ports",
        "server.rooms",
        "server.runtime",
        "server.stores",
    },
    "server.rooms": {
        "admin",
        "auth",
        "config",
        "delivery",
        "errors",
        "imap",
        "interfaces",
        "managesieve",
        "net",
        "policy",
        "pop3",
        "queue",
        "smtp",
        "values",
        "server.judging",
        "server.plugins",
        "server.routing",
        "server.runtime",
        "server.stores",
        "server.tokens",
    },
    "server.judging": {
        "config",
        "delivery",
        "interfaces",
        "net",
        "policy",
        "smtp",
        "values",
        "server.plugins",
        "server.stores",
    },
    "server.ports": {"config", "net"},
    "server.polling": {"interfaces"},
    "server.routing": {"config", "delivery", "interfaces", "values"},
    "server.tokens": {"auth", "config", "errors", "interfaces", "net", "server.runtime"},
    "server.stores": {"config", "errors", "interfaces", "store", "values", "server.engine_files"},
    "server.engine_files": {"errors", "store"},
    "server.partition_service": {"errors", "store", "server.stores"},
    "server.outgoing": {
        "config",
        "delivery",
        "interfaces",
        "net",
        "queue",
        "upkeep",
        "server.process",
        "server.services",
    },
    "server.health": {"config", "errors", "interfaces", "server.stores"},
    "server.config_source": {"config", "errors", "server.configuration"},
    "server.applying": {
        "admin",
        "config",
        "errors",
        "interfaces",
        "values",
        "server.config_source",
        "server.reloading",
    },
    "server.reloading": {"config", "errors", "interfaces", "net", "values"},
    "server.configuration": {"config", "errors", "interfaces", "net", "values", "server.plugins"},
    "server.plugins": {"errors", "interfaces", "values"},
    "server.administration": {
        "admin",
        "auth",
        "config",
        "net",
        "server.configuration",
        "server.backups",
        "server.examining",
        "server.judging",
        "server.publishing",
        "server.reading",
        "server.routing",
        "server.stores",
    },
    "server.doctoring": {
        "config",
        "delivery",
        "errors",
        "store",
        "upkeep",
        "values",
        "server.process",
        "server.services",
    },
    "server.examining": {
        "checks",
        "config",
        "errors",
        "interfaces",
        "net",
        "store",
        "values",
        "server.issued",
        "server.publishing",
    },
    "server.backups": {"admin", "config", "errors", "net", "store", "values", "server.stores"},
    "server.setting_up": {"interfaces", "net", "values"},
    "server.trying_mail": {"interfaces"},
    "server.publishing": {"config", "errors", "interfaces", "net", "values", "server.issued", "server.reloading"},
    "server.issued": {"acme", "config", "errors", "interfaces", "net", "server.issuing", "server.runtime"},
    "server.issuing": {"acme", "config", "errors", "interfaces", "net", "values", "server.issued", "server.runtime"},
    "server.demo": {"admin", "config", "durable", "errors", "net", "store"},
    "server.logs": {"values"},
    "server.pidfile": {"errors"},
    "server.processes.first": {
        "admin",
        "auth",
        "config",
        "interfaces",
        "net",
        "web",
        "server.processes.handover",
        "server.processes.hints",
        "server.processes.link",
        "server.processes.supervisor",
        "server.serving",
        "server.stores",
    },
    "server.processes.worker": {
        "config",
        "errors",
        "interfaces",
        "interpreter",
        "net",
        "values",
        "web",
        "server.logs",
        "server.polling",
        "server.ports",
        "server.process",
        "server.processes.handover",
        "server.processes.hints",
        "server.processes.link",
        "server.processes.setup",
        "server.processes.supervisor",
        "server.runtime",
        "server.services",
        "server.serving",
        "server.stores",
    },
    "server.processes.supervisor": {
        "errors",
        "interfaces",
        "net",
        "values",
        "server.processes.handover",
        "server.processes.link",
    },
    "server.processes.handover": {"config"},
    "server.processes.link": {"errors", "interfaces", "net", "server.processes.pickled"},
    "server.processes.pickled": {"errors", "net"},
    "server.processes.hints": {"interfaces", "net", "server.processes.link"},
    "server.processes.setup": {"interfaces", "net"},
}
# Single doors, each with its reason.
DOORS = {
    ("smtp.protocol", "net.pump"): "a protocol.py is the pump with a factory around it",
    ("smtp.protocol", "net.pump_factory"): "the same",
    ("imap.protocol", "net.pump"): "the same",
    ("imap.protocol", "net.pump_factory"): "the same",
    ("pop3.protocol", "net.pump"): "the same",
    ("pop3.protocol", "net.pump_factory"): "the same",
    ("managesieve.protocol", "net.pump"): "the same",
    ("managesieve.protocol", "net.pump_factory"): "the same",
    ("net.outbound", "smtp.wire"): "net sees the pure modules",
    ("net.outbound_link", "smtp.wire"): "the same",
    ("ctl.direct", "server.administration"): "works on the store where no server runs to be asked",
    ("ctl.direct", "server.configuration"): "the same",
    ("ctl.direct", "server.demo"): "shows what the demonstration remembered",
    ("ctl.direct", "server.publishing"): "reads the key of a certificate that is not in use yet",
    ("ctl.direct", "server.setting_up"): "the machine that setup works on",
    ("ctl.direct", "server.trying_mail"): "sends and reads the messages of setup's trials",
    ("ctl.direct", "interpreter"): "does nothing on a Python that the server does not run on",
}
PURE_FOLDERS = {"wire", "view", "messages", "extensions"}  # of any room
NOT_IN_PURE = (
    *("twisted", "zope", "mailnode.store", "mailnode.interfaces"),
    *("socket", "ssl", "OpenSSL", "select", "asyncio", "subprocess", "signal", "tempfile", "pathlib", "shutil"),
    *("time", "sched", "threading", "_thread", "queue", "concurrent", "multiprocessing", "sqlite3", "psycopg"),
)
CLOCKS = {("time", "time"), ("time", "sleep"), ("datetime", "now"), ("datetime", "utcnow"), ("time", "monotonic")}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@cache
def read(path):
    """Return the names a module imports, and the attributes of names that stand in it: (line, name, attribute)."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return tuple(imported(path, nodes)), tuple((node.lineno, node.value.id, node.attr) for node in attributes)


def imports(path):
    """Return the names a module imports."""
    return read(path)[0]


def imported(path, nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def inner(name):
    """mailnode.smtp.wire.client.Client -> smtp.wire, or None for foreign imports."""
    parts = name.split(".")
    if parts[0] != "mailnode" or len(parts) < 2:
        return None
    return ".".join(parts[1:3])


def is_pure(module):
    """The pure rooms, the pure folders of every room, and the pure modules of the protocol rooms."""
    room, _, rest = module.partition(".")
    in_folder = not PURE_FOLDERS.isdisjoint(module.split(".")[:-1])
    return room in ("values", "message", "sieve") or in_folder or rest in PURE.get(room, ())


def is_of(name, modules):
    """Whether a name is one of these modules or stands in one."""
    return any(name == one or name.startswith(f"{one}.") for one in modules)


def reached(path):
    """Return {name imported: module that does} of a module and of all that it imports of mailnode, and those of theirs."""
    found, waiting, seen = {}, [path], set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in imports(module):
            found.setdefault(name, ".".join(module.relative_to(PACKAGE).with_suffix("").parts))
            if name.startswith("mailnode."):
                place = ROOT.joinpath(*name.split("."))
                waiting += [one for one in (place.with_suffix(".py"), place.parent.with_suffix(".py")) if one.is_file()]
    return found


@pytest.mark.parametrize(("path", "module"), [pytest.param(p, m, id=m) for p, m in modules()])
def test_imports_follow_the_table(path, module):
    room = module.split(".")[0]
    if module.endswith("__init__"):
        return
    allowed = MAY_SEE.get(module) if room == "server" else {room} | MAY_SEE.get(room, set())
    assert allowed is not None and (room in MAY_SEE or module in MAY_SEE), f"{module} is not in the table"
    for name in imports(path):
        seen = inner(name)
        if seen is None or (module, seen) in DOORS:
            continue
        parts = name.split(".")[1:]
        ways = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}  # of the room, the module, the name
        assert ways & allowed, f"{module} must not import {name}"


def test_every_module_in_the_table_is_there():
    there = {module for _, module in modules()}
    assert all(any(one == name or one.startswith(f"{name}.") for one in there) for name in MAY_SEE)


@pytest.mark.parametrize(("path", "module"), [pytest.param(p, m, id=m) for p, m in modules() if is_pure(m)])
def test_pure_modules_touch_nothing_outside(path, module):
    for name, by in reached(path).items():
        assert not is_of(name, NOT_IN_PURE), f"{module} is pure, not {name}, which {by} imports"


def test_purity_is_looked_for_behind_the_first_import():
    assert reached(PACKAGE / "imap" / "protocol.py")["OpenSSL.SSL"] == "net.proving"


@pytest.mark.parametrize(("path", "module"), [pytest.param(p, m, id=m) for p, m in modules()])
def test_time_comes_from_the_clock(path, module):
    if module in ("tap", "server.processes.worker", "ctl.parts"):  # two have the reactor, the last one runs without any
        return
    names, attributes = read(path)
    for line, name, attribute in attributes:
        assert (name, attribute) not in CLOCKS, f"{module}:{line} uses {name}.{attribute}"
    for name in names:
        assert name != "twisted.internet.reactor", f"{module} imports the global reactor"


def test_imap_commands_rely_on_their_context_alone():
    """Neither a command nor anything it imports knows the session or the Twisted protocol around it."""
    for path in (PACKAGE / "imap" / "commands").glob("*.py"):
        for name, by in reached(path).items():
            assert not name.startswith(("mailnode.imap.session", "mailnode.imap.protocol")), f"{by} imports {name}"


def test_packages_hold_a_docstring_only():
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{path} holds code"


def test_no_init_in_the_plugin_folders():
    assert not list((ROOT / "twisted").rglob("__init__.py"))


def test_nothing_but_itself_imports_the_command_line():
    """What an operation does is in ``admin``; ``ctl`` is words for people."""
    theirs = [(module, name) for path, module in modules() if not module.startswith("ctl.") for name in imports(path)]
    assert [(module, name) for module, name in theirs if name.startswith("mailnode.ctl")] == []
