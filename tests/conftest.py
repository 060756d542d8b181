"""For all tests: nothing is left in the checkout, where no skip is allowed none hides, and no example fails for its time."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts these in the background has SIGINT ignored, and so would be all that they start, which are sent it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whole servers, with other people's programs about them, and what tries the tests themselves; all other folders are the unit
# suite.
NOT_UNIT = {"benchmarks", "crash", "end_to_end", "faults", "mutants", "twistd"}

# How long an example takes is the machine's matter: a busy one stands still in the middle of it, or of making it. What bounds a
# test is how many examples there are.
settings.register_profile("mailnode", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mailnode")


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
