"""What turns octets into code, or a command into a shell's, stands in these modules, for these reasons, and nowhere else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A call, by the end of its name; where it may stand, and why.
DANGERS = {
    "eval": {},
    "exec": {},
    "compile": {},  # the built-in one
    "__import__": {},
    "os.system": {},
    "os.popen": {},
    "pickle.load": {},
    "pickle.loads": {
        "net/batch_process.py": "what the server itself sends, over the pair of sockets the process was given",
        "net/helper_process.py": "the same",
    },
    "marshal.loads": {},
    "shelve.open": {},
    "tempfile.mktemp": {},
    "import_module": {
        "checks/table.py": "modules of a folder beside it",
        "config/checkup.py": "modules of the table of extras",
        "imap/commands/collected.py": "modules beside it",
        "net/batch_process.py": "the function named by who started the process, on its command line",
        "net/pickled.py": "names of our own rooms alone",
        "policy/builtin.py": "modules beside it",
        "sieve/extensions/collected.py": "modules beside it",
        "smtp/extensions/collected.py": "modules beside it",
    },
}
FILES = sorted((ROOT / "mailnode").rglob("*.py")) + sorted((ROOT / "twisted").rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix().removeprefix("mailnode/")


def dangers(text: str) -> set[str]:
    """Return which of the calls above stand in a module, and "shell" for a process through one."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in DANGERS or name.rpartition(".")[2] == "import_module":
            found.add(name if name in DANGERS else "import_module")
        if any(keyword.arg == "shell" for keyword in node.keywords):
            found.add("shell")
    return found


def test_nothing_dangerous_is_called_but_where_the_reason_is_known():
    found = {(name, place(path)) for path in FILES for name in dangers(path.read_text())}
    assert found == {(name, module) for name, places in DANGERS.items() for module in places}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("eval('1')", {"eval"}),
        ("re.compile('x')", set()),
        ("subprocess.run('ls', shell=False)", {"shell"}),
        ("importlib.import_module(name)", {"import_module"}),
        ("def f(): return pickle.loads(data)", {"pickle.loads"}),
    ],
)
def test_what_is_dangerous_is_seen(text, found):
    assert dangers(text) == found
