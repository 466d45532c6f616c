"""Stands in for CuPy where there is no device: enough of it for the feeder and the benchmark.

Device memory is host memory that only copies and kernels may touch; kernels are `segments.cu` run
on the host. What a device would punish by wrong results or a crash raises here: a copy that is not
from page-locked memory, a range that is not allocated, memory beyond a limit. A stream works
either at once, or not before it is waited for: buffers used again too early show in the results.
Functions that CuPy shares with NumPy are NumPy's.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.support.host_shim import HostKernels
from tokenergy_transforms.cuda import feed

_GRAIN = 512


class Memory:
    """Ranges of memory of one kind that are in use, and the most there ever was."""

    def __init__(self) -> None:
        self.ranges: dict[int, int] = {}
        self.in_use = self.peak = 0

    def take(self, nbytes: int) -> np.ndarray:
        array = np.empty(nbytes, np.uint8)
        address = array.ctypes.data
        self.ranges[address] = nbytes
        self.in_use += nbytes
        self.peak = max(self.peak, self.in_use)
        weakref.finalize(array, self._gone, address)
        return array

    def holds(self, address: int, nbytes: int = 1) -> bool:
        return any(
            begin <= address and address + nbytes <= begin + n
            for begin, n in list(self.ranges.items())
        )

    def _gone(self, address: int) -> None:
        self.in_use -= self.ranges.pop(address)


class DeviceArray:
    """A one-dimensional contiguous array in device memory."""

    def __init__(
        self, shape: int, dtype: Any = float, memptr: np.ndarray | None = None, **_: Any
    ) -> None:
        assert memptr is not None
        self.array = memptr[: shape * np.dtype(dtype).itemsize].view(dtype)

    @classmethod
    def of(cls, array: np.ndarray) -> DeviceArray:
        made = object.__new__(cls)
        made.array = array
        return made

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self.array.ctypes.data)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, part: slice) -> DeviceArray:
        return self.of(self.array[part])

    def view(self, dtype: Any) -> DeviceArray:
        return self.of(self.array.view(dtype))


class MixedArray(np.ndarray):
    """An array in device memory that NumPy's functions take as CuPy's would."""

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self.ctypes.data)

    def get(self) -> np.ndarray:
        return np.array(self)


_streams = threading.local()
"""The current stream of every thread."""


class Stream:
    """Runs what it is given in order, at once or when waited for."""

    lazy = True
    _all: ClassVar[weakref.WeakValueDictionary[int, Stream]] = weakref.WeakValueDictionary()

    def __init__(self, non_blocking: bool = False) -> None:
        self.ptr = id(self)
        self._all[self.ptr] = self
        self._queue: list[Callable[[], Any]] = []

    def put(self, work: Callable[[], Any]) -> None:
        self._queue.append(work)
        if not self.lazy:
            self.synchronize()

    def synchronize(self) -> None:
        while self._queue:
            self._queue.pop(0)()

    def __enter__(self) -> Stream:
        self._before, _streams.current = getattr(_streams, "current", None), self
        return self

    def __exit__(self, *_: object) -> None:
        _streams.current = self._before


class FakeCupy:
    """The state of the fake machine."""

    def __init__(self, kernels: HostKernels, free_bytes: int = 1 << 30) -> None:
        self.kernels, self.free_bytes = kernels, free_bytes
        self.device, self.pinned = Memory(), Memory()
        self.launched: list[tuple[int, str]] = []
        self._thread, self._one_at_a_time = threading.local(), threading.Lock()
        self.compiled: list[tuple[str, tuple[str, ...]]] = []

    @property
    def ordinal(self) -> int:
        """The current device of the calling thread."""
        return getattr(self._thread, "ordinal", 0)

    def modules(self) -> dict[str, types.ModuleType]:
        """Return what `sys.modules` gets."""
        cupy, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
        cupy.__dict__.update(
            ndarray=DeviceArray,
            asarray=self._upload,
            empty=self._empty,
            asnumpy=np.array,
            RawModule=self._raw_module,
            cuda=cuda,
            __version__="fake",
        )
        cupy.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]
        fake = self

        class Pool:
            def __init__(self) -> None:
                self._limit, self._blocks = 0, weakref.WeakSet[Any]()
                self._kept: list[np.ndarray] = []

            def set_limit(self, size: int) -> None:
                self._limit = size

            def malloc(self, nbytes: int) -> np.ndarray:
                nbytes = -(-nbytes // _GRAIN) * _GRAIN
                held = sum(len(a) for a in self._kept)
                if held + nbytes > self._limit:
                    raise MemoryError(f"{held + nbytes} bytes of a limit of {self._limit}")
                self._kept.append(fake.device.take(nbytes))
                return self._kept[-1]

            def free_all_blocks(self) -> None:
                self._kept = [a for a in self._kept if sys.getrefcount(a) > 3]

        class PinnedMemory:
            def __init__(self, nbytes: int) -> None:
                self.array = fake.pinned.take(nbytes)

        runtime = types.SimpleNamespace(
            memcpyAsync=self._copy, memcpyHostToDevice=1, memcpyDeviceToHost=2,
            memcpyDeviceToDevice=3,
            memGetInfo=lambda: (self.free_bytes, self.free_bytes),
            getDeviceCount=lambda: 2,
            driverGetVersion=lambda: 0,
            runtimeGetVersion=lambda: 0,
            getDeviceProperties=lambda _: {"name": b"fake", "multiProcessorCount": 1},
        )  # fmt: skip
        pinned_memory = types.SimpleNamespace(
            PinnedMemory=PinnedMemory,
            PinnedMemoryPointer=lambda memory, _offset: memoryview(memory.array),
            is_memory_pinned=self.pinned.holds,
        )
        cuda.__dict__.update(
            runtime=runtime,
            pinned_memory=pinned_memory,
            MemoryPool=Pool,
            Stream=Stream,
            Device=self._device,
            Event=_Event,
            get_elapsed_time=lambda a, b: (b.at - a.at) * 1e3,
        )
        return {"cupy": cupy, "cupy.cuda": cuda}

    def _copy(self, to: int, origin: int, nbytes: int, kind: int, stream: int) -> None:
        for address, on_device in ((to, kind != 2), (origin, kind != 1)):
            if on_device and not self.device.holds(address, nbytes):
                raise RuntimeError("a copy outside device memory")
            if not on_device and not self.pinned.holds(address, nbytes):
                raise RuntimeError("a copy outside page-locked memory: it would wait")
        Stream._all[stream].put(lambda: ctypes.memmove(to, origin, nbytes))

    def _empty(self, shape: int, dtype: Any = float) -> MixedArray:
        nbytes = shape * np.dtype(dtype).itemsize
        return self.device.take(nbytes).view(dtype).view(MixedArray)

    def _upload(self, array: np.ndarray) -> MixedArray:
        made = self._empty(len(array), array.dtype)
        made[:] = array
        return made

    def _raw_module(self, code: str, options: tuple[str, ...]) -> Any:
        self.compiled.append((code, options))

        def function(name: str) -> Callable[..., None]:
            def launch(grid: tuple[int], block: tuple[int], args: tuple[Any, ...]) -> None:
                self.launched.append((self.ordinal, name))
                values = [a.array if isinstance(a, DeviceArray) else a for a in args]
                stream = getattr(_streams, "current", None)

                def work() -> None:
                    with self._one_at_a_time:
                        self.kernels.launch(name, grid[0], block[0], values)

                if stream is None:
                    work()
                else:
                    stream.put(work)

            return launch

        return types.SimpleNamespace(get_function=function)

    def _device(self, ordinal: int | None = None) -> Any:
        @contextmanager
        def use() -> Iterator[None]:
            before, self._thread.ordinal = self.ordinal, ordinal or 0
            yield
            self._thread.ordinal = before

        manager: Any = use()
        manager.id = self.ordinal if ordinal is None else ordinal
        manager.synchronize = lambda: None
        return manager


class _Event:
    def record(self, _stream: Any = None) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass


@contextmanager
def installed(
    kernels: HostKernels, *, free_bytes: int = 1 << 30, lazy: bool = True
) -> Iterator[FakeCupy]:
    """Put the fake in CuPy's place for a while."""
    fake = FakeCupy(kernels, free_bytes)
    with pytest.MonkeyPatch.context() as patch:
        for name, module in fake.modules().items():
            patch.setitem(sys.modules, name, module)
        patch.setattr(Stream, "lazy", lazy)
        _forget()
        yield fake
        _forget()


def _forget() -> None:
    feed._kernels.cache_clear()
    feed._staging.clear()
