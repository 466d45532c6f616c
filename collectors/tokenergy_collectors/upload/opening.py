"""Opens the store that the upload settings name."""

from __future__ import annotations

from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.upload.settings import Upload
from tokenergy_collectors.upload.store import Store


def open_store(upload: Upload, lake: Path) -> Store:
    """Return the store that the settings name; no request is made yet.

    Args:
        upload: the settings; `to` is given.
        lake: folder of the lake.

    Raises:
        UserError: a package is missing, or the store is the lake itself.
    """
    from tokenergy_collectors.upload.folder import FolderStore

    to = str(upload.to)
    if "://" in to and not to.startswith("file://"):
        from tokenergy_collectors.upload.objects import open_object_store

        return open_object_store(to, upload)
    root, inside = Path(to.removeprefix("file://")).absolute(), lake.absolute()
    if inside == root or inside in root.parents:
        raise UserError(f"upload.to {to}: is in the lake {lake}; expected another place")
    return FolderStore(root, inside)
