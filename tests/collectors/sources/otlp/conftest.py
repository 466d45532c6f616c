"""Rigs that end with their test."""

import pytest

from tests.collectors.sources.otlp.rig import Rig


@pytest.fixture
def make():
    rigs = []

    def made(**settings):
        rigs.append(Rig(**settings))
        return rigs[-1]

    yield made
    for rig in rigs:
        rig.source.finish(0)
