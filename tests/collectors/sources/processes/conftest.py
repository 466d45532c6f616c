import pytest

from tests.collectors.sources.processes.rig import Rig


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path) as rig:
        yield rig
