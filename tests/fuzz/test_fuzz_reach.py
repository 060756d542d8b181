"""What reads octets from outside is reached by a target: a new module of these folders needs one, or its reason here."""

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
READ_NOTHING = {f"message/{name}.py" for name in ("dkim_keys", "dmarc_report", "notices", "report_mail", "tls_report")}
AT_IMPORT = {"imap/commands/collected.py"}


def with_functions():
    """Return the modules of the folders in which there is anything to call."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).glob("*.py")
        if any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))
    }


def reached():
    """Return the modules of which something is called by what targets are known to be given."""
    called = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    sys.setprofile(note)
    for target in TARGETS.values():
        for data in known(target):
            target.attempt(data)
    sys.setprofile(None)
    return {str(Path(name).relative_to(ROOT)) for name in called if name.startswith(f"{ROOT}/")}


def test_every_module_that_reads_is_reached():
    """In a process of its own: what other tests have had remembered is not called again."""
    code = "import json; from tests.fuzz.test_fuzz_reach import reached; print(json.dumps(sorted(reached())))"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=300)
    assert with_functions() - set(json.loads(run.stdout)) - AT_IMPORT == READ_NOTHING
