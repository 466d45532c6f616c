"""What is in a lake's folder, to see that nothing in it was written."""

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.folders import FOLDER


def snapshot(lake: Lake) -> dict[str, tuple[bytes, int]]:
    """Every file of a lake, with its bytes and when it was written.

    Without the cache of folders: it is written by whoever reads once they have been as they are for
    ten seconds.
    """
    return {
        str(path.relative_to(lake.root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(lake.root.rglob("*"))
        if path.is_file() and not path.is_relative_to(lake.root / FOLDER)
    }
