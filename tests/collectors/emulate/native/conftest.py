"""The compiled library, and nodes behind either library."""

from __future__ import annotations

import shutil

import pynvml
import pytest

from tests.collectors.emulate.native.rigs import NativeRig
from tests.support.emulated import Walk
from tokenergy_collectors.emulate.native.build import SONAME, library_folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where these tests keep compiled libraries: not in the user's own cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="session")
def library(cache):
    """The path of the library, compiled once."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        return library_folder() / SONAME


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
