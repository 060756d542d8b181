import pytest
from setup_support import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
