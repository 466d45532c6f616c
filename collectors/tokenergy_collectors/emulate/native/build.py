"""Compiles the library with gcc, once for each version of its sources.

In: the C files beside this module. Out: a folder with `libnvidia-ml.so.1`, for LD_LIBRARY_PATH.
`python -m tokenergy_collectors.emulate.native.build FOLDER` compiles into that folder.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tokenergy_collectors.base.errors import UserError

SONAME = "libnvidia-ml.so.1"
FLAGS = (
    "-std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -pthread "
    f"-shared -Wl,-soname,{SONAME} -Wl,-z,defs"
)
_HERE = Path(__file__).parent
_LISTS = _HERE.parent / "nvml"
"""Where the lists are that both libraries read."""


def compile_library(folder: Path, extra: Sequence[str] = ()) -> Path:
    """Compile the library into a folder; return its path.

    Args:
        folder: created if it does not exist.
        extra: more options for the compiler.

    Raises:
        UserError: there is no compiler, it fails, or the folder cannot be written.
    """
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    sources = sorted(map(str, _HERE.glob("*.c")))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as temporary:
            made = Path(temporary) / SONAME
            words = [*compiler, *FLAGS.split(), f"-I{_LISTS}", *extra, *sources, "-o", str(made)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                first = (done.stderr.strip() or "no message").splitlines()[0]
                raise UserError(f"{compiler[0]} cannot compile the emulated NVML: {first}")
            return made.replace(folder / SONAME)
    except FileNotFoundError:
        raise UserError(
            f"{compiler[0]}: not found; the emulated NVML for other programs is compiled on "
            "demand (Debian and Ubuntu: apt-get install gcc libc6-dev)"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None


def library_folder() -> Path:
    """Return a folder with the library; compile it unless these sources were compiled before.

    Raises:
        UserError: as `compile_library`.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tokenergy" / f"nvml-{_digest()}"
    if not (folder / SONAME).exists():
        compile_library(folder)
    return folder


def _digest() -> str:
    """Return a digest of everything that the library is compiled from."""
    # The compiler and its flags too: another CC must not find what the first one compiled.
    digest = hashlib.sha256(f"{os.environ.get('CC', 'gcc')} {FLAGS}".encode())
    files = [*_HERE.iterdir(), *_LISTS.iterdir()]
    for path in sorted(p for p in files if p.suffix in {".c", ".h", ".def"}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def main() -> int:
    """Compile into the folder given, or into the cache; print the library's path."""
    try:
        if len(sys.argv) > 1:
            print(compile_library(Path(sys.argv[1])))
        else:
            print(library_folder() / SONAME)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
