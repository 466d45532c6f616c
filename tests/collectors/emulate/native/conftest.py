"""The compiled library, and nodes behind either library."""

from __future__ import annotations

import shutil

import pynvml
import pytest

from tests.collectors.emulate.helpers import Walk
from tests.collectors.emulate.native.rigs import NativeRig
from tokenergy_collectors.emulate.native.build import compile_library


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The path of the library, compiled once."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return compile_library(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def native(library, tmp_path, monkeypatch):
    """Make nodes behind the C library in this process; `pynvml` is as before afterwards."""
    state = tmp_path / "boards"
    monkeypatch.setenv("TOKENERGY_EMULATED_NVML", str(state))
    made = []

    def make(profile=None):
        made.append(NativeRig(library, state, profile))
        monkeypatch.setattr(pynvml, "nvmlLib", made[-1].library)
        pynvml._nvmlGetFunctionPointer_cache.clear()
        return made[-1]

    yield make
    for rig in made:
        rig.close()
    pynvml._nvmlGetFunctionPointer_cache.clear()


class PythonRig(Walk):
    """A node behind the library made of ctypes callbacks."""

    def fail(self, index, code):
        self.node.fail(index, code)

    @property
    def library(self):
        return pynvml.nvmlLib


@pytest.fixture(params=["python", "c"])
def rig(request):
    """A node behind the one library and then behind the other."""
    if request.param == "c":
        yield request.getfixturevalue("native")()
        return
    walk = PythonRig()
    with walk.node:
        yield walk
