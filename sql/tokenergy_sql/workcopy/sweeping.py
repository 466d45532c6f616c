"""Removes files of the books that no list and no revision names from a store.

In: a lake's objects, its list and its revisions. Out: the names of what was removed. Such files are
of writers that died before they published, or that others were faster than. They cost room, and
change no figure.

A file is left for a day, since its writer may still be about to publish it; whoever puts it again
makes it new. It is looked at once more right before it is removed.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.published import FOLDER, SHARDS, list_path, parse_list, path_of
from tokenergy_collectors.objects.bucket import Bucket
from tokenergy_sql.revisions import revisions

LEFT_S = 86_400.0


def sweep(bucket: Bucket, root: Path, *, left_s: float = LEFT_S) -> list[str]:
    """Remove what nobody names and is older than a day; return the names.

    Args:
        bucket: the lake's objects.
        root: of a working copy that is up to date.
        left_s: how long such a file is left, in seconds.
    """
    limit_ns = time.time_ns() - int(left_s * 1e9)
    old = [
        one.name
        for one in bucket.below(f"{FOLDER}/")
        if one.name.endswith(SUFFIX)
        and not one.name.startswith(f"{SHARDS}/")
        and one.modified_ns <= limit_ns
    ]
    named = _named(bucket, root)
    removed = []
    for name in sorted({*old}.difference(named)):
        now = [one for one in bucket.below(name) if one.name == name]
        if now and now[0].modified_ns <= limit_ns:
            bucket.remove([name])
            removed.append(name)
    return removed


def _named(bucket: Bucket, root: Path) -> set[str]:
    """Return the names in the list as it is now, and in the manifests of all revisions."""
    found = bucket.read(list_path(Path()).as_posix())
    tags = parse_list(found[0]).tags if found else {}
    named = {
        path_of(Path(), table, hour_us, tag).as_posix()
        for table, of_table in tags.items()
        for hour_us, tag in of_table.items()
    }
    for path in (root / revisions.FOLDER).glob(f"*/{revisions.MANIFEST}"):
        named |= {*json.loads(path.read_bytes())["replaced"]}
    return named
