"""For all tests: what a test leaves in its working directory is not left in the checkout."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Run in a folder of the session's own; trial's ``mktemp`` makes its folders where it stands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield
