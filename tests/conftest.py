"""For all tests: nothing is left in the checkout, and where no skip is allowed none hides."""

import os

import pytest

# Whole servers, with other people's programs about them, and what tries the tests themselves; all other folders are the unit
# suite.
NOT_UNIT = {"benchmarks", "end_to_end", "faults", "mutants", "twistd"}


def pytest_addoption(parser):
    parser.addoption(
        "--unit", action="store_true", help="the unit suite alone: no whole servers, other programs, planted faults"
    )


def pytest_ignore_collect(collection_path, config):
    """With --unit the folders of whole servers are not looked into."""
    if config.getoption("--unit") and collection_path.parent.name == "tests" and collection_path.name in NOT_UNIT:
        return True
    return None


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Run in a folder of the session's own; trial's ``mktemp`` makes its folders where it stands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With MAILNODE_TESTS_STRICT=1 a skip is a failure that says what is missing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("MAILNODE_TESTS_STRICT") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped where no skip is allowed: {report.longrepr}"
