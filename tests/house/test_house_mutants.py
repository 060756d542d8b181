"""What the planted faults of tests/mutants alter stands where they say: whoever rewrites it hears of that before the whole suite
runs. tests/mutants/README.rst tells what is to be done then."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lost(mutants, root):
    """Return (file, name, how often its text stands there) of faults that cannot be planted."""
    found = []
    for mutant in mutants:
        path = root / "mailnode" / mutant["file"]
        times = path.read_text().count(mutant["stands"]) if path.exists() else 0
        if times != 1:
            found.append((mutant["file"], mutant["name"], times))
    return found


def test_every_fault_has_its_place():
    files = sorted((ROOT / "tests/mutants").glob("*.toml"))
    assert len(files) >= 9
    assert lost([mutant for path in files for mutant in tomllib.loads(path.read_text())["mutant"]], ROOT) == []


def test_one_that_has_none_is_named(tmp_path):
    (tmp_path / "mailnode").mkdir()
    (tmp_path / "mailnode/a.py").write_text("x = 1\nx = 1\ny = 2\n")
    faults = [
        {"file": file, "name": stands, "stands": stands}
        for file, stands in (("a.py", "x"), ("a.py", "y"), ("b.py", "z"))
    ]
    assert lost(faults, tmp_path) == [("a.py", "x", 2), ("b.py", "z", 0)]
