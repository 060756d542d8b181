"""An account for each test, copied from one that is made once."""

import shutil

import pytest
from account_support import MovingAccount


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A data directory with the account."""
    return MovingAccount(tmp_path_factory.mktemp("fresh") / "data").make()


@pytest.fixture
def alice(tmp_path, fresh):
    """The account, in a directory of its own."""
    return MovingAccount(shutil.copytree(fresh.data, tmp_path / "data"))
