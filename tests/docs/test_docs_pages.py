"""What the pages name is there: files, pages, commands, options, settings."""

import pkgutil
import re
import shlex
import textwrap
from pathlib import Path

import click
import pytest

from mailnode.config.loader import load
from mailnode.config.schema import Judgement
from mailnode.ctl.main import main
from mailnode.server.configuration import configuration

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst")])
GENERATED = ("commands.rst", "configuration.rst")  # held against the code by tests of their own
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
TEXTS["etc/mailnode.service"] = (ROOT / "etc/mailnode.service").read_text()
TEXTS["etc/mailnode.toml"] = (ROOT / "etc/mailnode.toml").read_text()
# Where names of files may begin: the root, the package, the example plug-in, the data directory.
ROOTS = (ROOT, ROOT / "mailnode", ROOT / "docs/refuse-subject")
OF_THE_DATA = ("blobs/", "./mailnode-data")


def test_every_page_is_in_the_index():
    listed = re.findall(r"^   ([a-z_]+)$", TEXTS["docs/index.rst"], re.MULTILINE)
    pages = {page.stem for page in ROOT.glob("docs/*.rst")} - {"index"}
    assert sorted(listed) == sorted(pages)


@pytest.mark.parametrize("page", TEXTS)
def test_every_file_that_is_named_is_there(page):
    """Relative names with a slash in double backquotes; ``<kind>`` and ``NNNN`` stand for any."""
    for name in re.findall(r"``((?:[\w.-]+/)+[\w.<>-]*)``", TEXTS[page]):
        pattern = re.sub(r"<\w+>|NNNN", "*", name).rstrip("/")
        found = any(list(root.glob(pattern)) for root in ROOTS)
        assert found or name.startswith(OF_THE_DATA), f"{page} names {name}"


@pytest.mark.parametrize("page", TEXTS)
def test_what_another_user_runs_has_its_whole_path(page):
    """``runuser`` knows no alias of a shell, and the installation is in nobody's PATH."""
    if Path(page).name in GENERATED:
        return
    for words in re.findall(r"\brunuser\b.*? -- (\S+)", TEXTS[page]):
        assert words.startswith("/opt/mailnode/bin/"), words


@pytest.mark.parametrize("page", TEXTS)
def test_every_dotted_name_is_there(page):
    """Modules, and classes and functions in them, such as ``mailnode.queue.runner``."""
    for name in re.findall(r"``(mailnode\.[\w.]+)``", TEXTS[page]):
        if name not in NO_MODULES:
            pkgutil.resolve_name(name)


NO_MODULES = ("mailnode.test", "mailnode.lock")  # a domain, a file


# Commands


def blocks(text):
    """Yield the lines of literal blocks, comments cut off, joined where a line ends with a backslash."""
    for block in re.findall(r"::\n\n((?:[ ]+.*\n|\n)+)", text):
        yield from block.replace("\\\n", " ").splitlines()
    if not text.startswith("=") and "ExecStart" in text:
        yield from re.findall(r"^#   (.+)$", text, re.MULTILINE)
        yield from re.findall(r"^Exec\w+=(.+)$", text, re.MULTILINE)


def simple_commands():
    """Yield (page, words) of each command line: those of literal blocks, and inline ones of twistd and mailnode."""
    for page, text in TEXTS.items():
        if Path(page).name in GENERATED:
            continue
        inline = re.findall(r"``((?:\.venv/bin/)?(?:mailnode|twistd|pip|zstd) [^`]+)``", text)
        for line in [*blocks(text), *inline]:
            for part in re.split(r"&&|;", line.split("  #")[0]):
                words = shlex.split(part) if part.count("'") % 2 == 0 and part.count('"') % 2 == 0 else part.split()
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                    words = words[1:]
                if words[:1] == ["runuser"]:
                    words = words[words.index("--") + 1 :]
                if words and re.fullmatch(r"[.\w/-]*[\w]", words[0]) and Path(words[0]).name in PROGRAMS:
                    yield page, [Path(words[0]).name, *words[1:]]


def check_mailnode(words):
    """Walk groups and options as click does; values are not looked at."""
    command, context = main, click.Context(main, info_name="mailnode")
    rest = list(words)
    while True:
        parser = command.make_parser(context)
        _, rest, _ = parser.parse_args(args=rest)
        if not isinstance(command, click.Group):
            return
        assert rest, "no command"
        name, *rest = rest
        found = command.get_command(context, name)
        assert found is not None, name
        command, context = found, click.Context(found, parent=context, info_name=name)


def check_twistd(words):
    """Options before ``mailnode`` are twistd's, those behind it ours."""
    from twisted.scripts.twistd import ServerOptions

    from mailnode.tap import Options

    at = words.index("mailnode")
    for option in words[:at]:
        name = option.partition("=")[0]
        assert name in ("-n", "--pidfile") or name.lstrip("-") in ServerOptions().longOpt, name
    Options().parseOptions(words[at + 1 :])


def check_python(words):
    """``python -m pytest PATHS``, ``python -m mailnode.x.docs``, ``python3 -m venv DIR``."""
    assert words[0] == "-m"
    module, paths = words[1], [word for word in words[2:] if "/" in word and not word.startswith("/")]
    if module == "pytest":
        assert all((ROOT / path).exists() for path in paths), paths
    elif module != "venv":
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


def check_pip(words):
    """``pip install`` of this tree with extras that exist, or of a folder of it; or a list of what is installed."""
    if words[0] == "freeze":
        return
    assert words[0] == "install"
    extras = re.search(r"\[options.extras_require\]\n(.*?)\n\[", (ROOT / "setup.cfg").read_text(), re.DOTALL)[1]
    for word in words[1:]:
        folder, _, wanted = word.rstrip("]").partition("[")
        if word.startswith("-") or "=" in word or word.endswith("_mode=compat"):
            continue
        assert (ROOT / folder).is_dir(), word
        for extra in filter(None, wanted.split(",")):
            assert re.search(rf"^{extra} =$", extras, re.MULTILINE), extra


def check_paths(words):
    """The first name of a file is one of this tree, unless a directory of the machine is made."""
    assert "-d" in words or (ROOT / next(word for word in words if not word.startswith("-"))).exists()


def nothing_to_check(words):
    """A program of the system."""


PROGRAMS = {
    "mailnode": check_mailnode,
    "twistd": check_twistd,
    "python": check_python,
    "python3": check_python,
    "pip": check_pip,
    "install": check_paths,
    "sphinx-build": nothing_to_check,
    "ruff": nothing_to_check,
    "mypy": nothing_to_check,
    "useradd": nothing_to_check,
    "systemctl": nothing_to_check,
    "kill": nothing_to_check,
    "zstd": nothing_to_check,
}
COMMANDS = list(simple_commands())


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[" ".join(words)[:60] for _, words in COMMANDS])
def test_every_command_line_is_one(page, words):
    PROGRAMS[words[0]](words[1:])


def test_command_lines_are_found():
    assert {words[0] for _, words in COMMANDS} >= {"mailnode", "twistd", "python", "pip"}
    assert len(COMMANDS) > 25


def test_the_two_commands_of_the_readme():
    for command in (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/twistd -n mailnode",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest",
    ):
        assert f"\n    {command}\n" in TEXTS["README.rst"]


# Settings

LITERAL = re.compile(r"^(?:.*::|\.\. code-block:: toml)\n\n((?:[ ]+.*\n|\n)+)", re.MULTILINE)
SNIPPETS = [
    (page, block)
    for page, text in TEXTS.items()
    if page.endswith(".rst")
    for block in map(textwrap.dedent, LITERAL.findall(text))
    if re.search(r"^\[\[?[\w.]+\]\]?$", block, re.MULTILINE)
]


def written(place, block):
    """Write a snippet into a file of its own, behind the least configuration that loads, with a password where it names one."""
    least = (
        '[server]\nhostname = "mail.example.org"\ndata = "data"\n[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:0"\n'
    )
    (place / "password").write_text("secret\n")
    block = re.sub(r'(password_file = ")[^"]+', rf"\1{place}/password", block)
    (place / "mailnode.toml").write_text(("" if "[server]" in block else least) + block)
    return place / "mailnode.toml"


@pytest.mark.parametrize(("page", "block"), SNIPPETS, ids=[page for page, _ in SNIPPETS])
def test_every_snippet_of_configuration_loads(page, block, tmp_path):
    assert load(written(tmp_path, block)).server.hostname


POLICIES = [(page, block) for page, block in SNIPPETS if "[[policy]]" in block and "refuse-subject" not in block]


@pytest.mark.parametrize(("page", "block"), POLICIES, ids=[page for page, _ in POLICIES])
def test_policies_take_the_options_of_every_snippet(page, block, tmp_path):
    """But for those of the example plug-in, which is not installed: its own test installs it."""
    assert configuration(written(tmp_path, block), None, with_certificates=False).policy


def test_what_judges_by_itself_is_what_the_page_says(tmp_path):
    (block,) = [block for page, block in SNIPPETS if page == "docs/judgement.rst" and block.startswith("[judgement]")]
    assert load(written(tmp_path, block)).judgement == Judgement()


def test_snippets_are_found():
    assert len(SNIPPETS) > 25
    assert len(POLICIES) > 7
