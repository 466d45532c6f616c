"""The CUDA source as one text, and how it is compiled.

In: `segments.cu`, its headers in this folder. Out: one source without includes: CuPy's disk cache
finds a kernel by its text and would not notice a change in a header.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

OPTIONS = ("--std=c++17", "--fmad=false")
"""Options of the compiler. Without contraction of multiply and add, rounding is the CPU's."""

_INCLUDE = re.compile(r'^#include "([\w./]+)"$', re.MULTILINE)


@cache
def source() -> str:
    """Return the CUDA source of the kernels, with the headers in place of their includes."""
    folder = resources.files("tokenergy_transforms")

    def text(name: str) -> str:
        return _INCLUDE.sub(lambda m: text(m[1]), folder.joinpath(name).read_text("utf-8"))

    return text("segments.cu")
