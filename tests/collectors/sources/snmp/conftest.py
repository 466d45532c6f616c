import pytest

from tests.collectors.sources.snmp.rig import COMMUNITY


@pytest.fixture(autouse=True)
def _community(monkeypatch):
    monkeypatch.setenv(COMMUNITY, "readers-of-pdu")
