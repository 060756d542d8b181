"""What reads octets from outside is reached by a target: a new module of these folders, or one that calls what reads, needs one,
or its reason here."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import mailnode
from tests.fuzz.registry import TARGETS, known

ROOT = Path(mailnode.__file__).parent
CHECKOUT = Path(__file__).parents[2]
FOLDERS = ("smtp/wire", "imap/wire", "imap/commands", "pop3/wire", "policy/wire", "message")
# They write what is sent.
READ_NOTHING = {f"message/{name}.py" for name in ("dkim_keys", "dmarc_report", "report_mail", "tls_report")}
AT_IMPORT = {"imap/commands/collected.py"}

# Elsewhere a module reads octets or text that calls one of these, or is given octets by one of these names.
CALLS = {
    "ParserCreate",
    "ZipFile",
    "b64decode",
    "decompress",
    "decompressobj",
    "from_bytes",
    "from_text",
    "from_wire",
    "fromhex",
    "iter_unpack",
    "load_der_x509_certificate",
    "load_pem_private_key",
    "load_pem_x509_certificates",
    "loads",
    "next_event",
    "parse",
    "read_bytes",
    "read_text",
    "splitlines",
    "unhexlify",
    "unpack_from",
    "urlsplit",
}
GIVEN = {"dataReceived", "fileDescriptorReceived", "handleContentChunk", "receive", "receive_data"}
# They read what stands in our own databases, and what our own processes say; damage of both is tried beside them.
FOLDERS_OF_OURS = ("store/engines", "store/search", "store/units", "server/processes")
OPERATOR = "answers, files and programs of the operator's; wrong ones are tried in tests/setup"
OURS = "what this server wrote itself, or another of its processes: damage of databases and backups is tried in tests/store"
SOCKET = "carries octets between a socket and what is fuzzed; tried over sockets in tests/net"
NOT_FROM_OUTSIDE = {
    "admin/control_client.py": "the server's answers, tried in tests/admin",
    "auth/secret.py": OURS,
    "auth/strength.py": "a file of the package",
    "config/checkup.py": OURS,
    "config/versions.py": OURS,
    "ctl/display.py": "text for people, that it cuts into lines",
    "ctl/doctor_words.py": "text for people, that it cuts into lines",
    "ctl/moving.py": "a file of the operator's, with a password",
    "ctl/sieve.py": "files that it hands to what is fuzzed",
    "delivery/eight_bit.py": "what the readers of messages have read",
    "delivery/forwarding.py": OURS,
    "delivery/plans.py": OURS,
    "imap/view/packing.py": OURS,
    "interfaces/wire.py": "declares it",
    "interpreter.py": "constants",
    "moving/progress_note.py": OURS,
    "moving/target.py": OURS,
    "net/batch_process.py": OURS,
    "net/frames.py": OURS,
    "net/helper_link.py": OURS,
    "net/helper_process.py": OURS,
    "net/lookup.py": "addresses that the room net has",
    "net/outbound_link.py": SOCKET,
    "net/own_addresses.py": "what the kernel says",
    "net/program_link.py": SOCKET,
    "net/proxy.py": SOCKET,
    "net/this_machine.py": "what the kernel and systemd say",
    "server/demo.py": OURS,
    "server/pidfile.py": OURS,
    "setup/answers.py": OPERATOR,
    "setup/files.py": OPERATOR,
    "setup/items/certificate.py": OPERATOR,
    "setup/items/outgoing.py": OPERATOR,
    "setup/items/service.py": OPERATOR,
    "setup/items/system_user.py": OPERATOR,
    "setup/items/tsig.py": OPERATOR,
    "setup/progress.py": OPERATOR,
    "setup/report.py": "text for people, that it cuts into lines",
    "setup/row.py": OPERATOR,
    "store/backups/going_back.py": OURS,
    "store/backups/making.py": OURS,
    "store/backups/restoring.py": OURS,
    "upkeep/doctor_memory.py": OURS,
    "upkeep/doctor_news.py": OURS,
    "values/moving.py": OURS,
    "values/queue.py": OURS,
}


def with_functions():
    """Return the modules of the folders in which there is anything to call."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).glob("*.py")
        if any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))
    }


def readers():
    """Return the modules outside of the folders that read octets or text, as far as names tell."""
    modules = {path: ast.walk(ast.parse(path.read_text())) for path in ROOT.rglob("*.py")}
    found = {str(path.relative_to(ROOT)) for path, nodes in modules.items() if any(map(is_reading, nodes))}
    return {name for name in found if str(Path(name).parent) not in FOLDERS + FOLDERS_OF_OURS}


def is_reading(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name in GIVEN
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) in CALLS


def reached():
    """Return the modules of which something is called by what targets are known to be given."""
    called = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    for target in TARGETS.values():
        for data in known(target):
            sys.setprofile(note)  # anew: a recursion that is too deep ends it
            target.attempt(data)
    sys.setprofile(None)
    return {str(Path(name).relative_to(ROOT)) for name in called if name.startswith(f"{ROOT}/")}


def test_every_module_that_reads_is_reached():
    """In a process of its own: what other tests have had remembered is not called again."""
    code = "import json; from tests.fuzz.test_fuzz_reach import reached; print(json.dumps(sorted(reached())))"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=300)
    called = set(json.loads(run.stdout))
    assert with_functions() - called - AT_IMPORT == READ_NOTHING
    assert readers() - called == NOT_FROM_OUTSIDE.keys()
