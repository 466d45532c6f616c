"""Where a lake is: a folder, or a bucket of an S3-speaking server that can be taken away.

All that the tests do to a lake from outside is here, so that they do not depend on its place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tests.support.s3 import BUCKET, ENVIRONMENT, Server, Wire
from tests.support.three_hours import deliver
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.published import parse_list

_LOCK = "revisions/.lock"
_UNFINISHED = "revisions/.unfinished/derived.jsonl"
"""Has a line for each hour that was derived and is not published yet."""


class Place(Protocol):
    """What the tests need of one.

    Attributes:
        url: of the lake, as the DAGs are given it.
        environment: what the workers need besides, to reach it.
    """

    url: str
    environment: dict[str, str]

    def put(self, root: Path, files: Iterable[Path]) -> None:
        """Bring files of a local lake, each at once or not at all."""

    def write(self, name: str, text: str) -> None:
        """Write a file at the top of the lake."""

    def snapshot(self, folder: Path) -> Lake:
        """Return a local copy of the lake as it is, in a folder that does not exist yet."""

    def writer(self) -> int | None:
        """Return the process that is in the midst of deriving books; None if none is."""

    def revision(self) -> int:
        """Return the number of the revision that readers see."""

    def close(self) -> None:
        """End what the place needed."""


class Folder:
    """A lake in a folder that all workers share."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "lake")
        self.environment: dict[str, str] = {}
        self._lake = Lake(self.url, create=True)
        self._lake.prepare()

    def put(self, root: Path, files: Iterable[Path]) -> None:
        deliver(files, root, self._lake.root)

    def write(self, name: str, text: str) -> None:
        path = self._lake.root / name
        path.with_name(f".{name}").write_text(text)
        path.with_name(f".{name}").rename(path)

    def snapshot(self, folder: Path) -> Lake:
        return Lake(shutil.copytree(self.url, folder))

    def writer(self) -> int | None:
        return _writer_in(self._lake.root)

    def revision(self) -> int:
        return Lake(self.url).books.latest().revision

    def close(self) -> None:
        pass


class Bucket:
    """A prefix of a bucket, behind a wire that can be cut."""

    def __init__(self, folder: Path) -> None:
        self._server = Server().start()
        self._wire = Wire(self._server.port)
        self._work = folder / "work"
        self.url = f"s3://{BUCKET}/lake"
        self.environment = {
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": self._wire.url,
            "TOKENERGY_WORK": str(self._work),
        }

    def put(self, root: Path, files: Iterable[Path]) -> None:
        for path in files:
            self._server.fs().put_file(str(path), f"{BUCKET}/lake/{path.relative_to(root)}")

    def write(self, name: str, text: str) -> None:
        self._server.fs().pipe_file(f"{BUCKET}/lake/{name}", text.encode())

    def snapshot(self, folder: Path) -> Lake:
        folder.mkdir()
        self._sweep()
        self._server.download(folder, "lake")
        return Lake(folder)

    def writer(self) -> int | None:
        copies = self._work.glob("*/*/")
        return next((pid for copy in copies if (pid := _writer_in(copy))), None)

    def revision(self) -> int:
        name = f"{BUCKET}/lake/books/published.json"
        return parse_list(self._server.fs().cat_file(name)).revision

    def _sweep(self) -> None:
        """Remove what dead writers left, without waiting for a day."""
        environment = {**os.environ, **self.environment}
        code = (
            "import sys\n"
            "from tokenergy_collectors.lake.absent import bucket_of\n"
            "from tokenergy_sql.workcopy.sweeping import sweep\n"
            "from tokenergy_sql.workcopy.working import on_lake\n"
            "on_lake(sys.argv[1], lambda root: sweep(bucket_of(root), root, left_s=0))\n"
        )
        subprocess.run([sys.executable, "-c", code, self.url], env=environment, check=True)

    def away(self, seconds: float) -> threading.Timer:
        """Take the server away; return a timer that ends when it is back: `join` waits for it."""
        self._wire.cut()
        timer = threading.Timer(seconds, self._wire.mend)
        timer.start()
        return timer

    def close(self) -> None:
        self._wire.cut()
        self._server.kill()


def _writer_in(root: Path) -> int | None:
    """Return the process that is deriving the books of a lake in a folder; None if none is."""
    lock = root / _LOCK
    if not lock.exists() or not (root / _UNFINISHED).exists():
        return None
    device, inode = lock.stat().st_dev, lock.stat().st_ino
    place = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:131 0 EOF; waiting: `->`
        if fields[1] == "FLOCK" and fields[5] == place:
            return int(fields[4])
    return None
