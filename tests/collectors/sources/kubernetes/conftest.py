"""A rig whose kubelet serves."""

import pytest

from tests.collectors.sources.kubernetes.rig import Rig


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    rig.kubelet.start()
    yield rig
    rig.finish()
    rig.kubelet.stop()
