"""A real Prometheus for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.support.prometheus import missing


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    if why := missing():
        pytest.skip(why)
