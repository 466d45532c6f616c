"""What a BMC says at one time: each resource is asked for once, whatever follows links to it.

In: paths and links. Out: resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tokenergy_collectors.sources.redfish.link import RefusedError, Resource, link_of

_MOST_PAGES = 100


class Reads:
    """Resources of one BMC as of one reading: each is asked for once.

    Args:
        get: asks the BMC.
    """

    def __init__(self, get: Callable[[str], Resource]) -> None:
        self._get = get
        self._found: dict[str, Resource | RefusedError] = {}

    def get(self, path: str) -> Resource:
        """Return a resource.

        Raises:
            AwayError: the BMC does not answer.
            RefusedError: it does not give this resource.
        """
        if path not in self._found:
            try:
                self._found[path] = self._get(path)
            except RefusedError as error:
                self._found[path] = error
        found = self._found[path]
        if isinstance(found, RefusedError):
            raise found
        return found

    def follow(self, part: Any, name: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return the path and the body behind a link; None if there is none or it is missing.

        Raises:
            AwayError, RefusedError: as for `get`, but a resource that is missing is None.
        """
        path = link_of(part, name)
        if path is None:
            return None
        try:
            return path, self.get(path).body
        except RefusedError as error:
            if error.missing:
                return None
            raise

    def paths(self, collection: Mapping[str, Any]) -> Iterator[str]:
        """Yield the path of each member of a collection, which may have several pages."""
        for _ in range(_MOST_PAGES):
            listed = collection.get("Members")
            for one in listed if isinstance(listed, list) else ():
                path = link_of({"": one}, "")
                if path is not None:
                    yield path
            following = link_of({"": {"@odata.id": collection.get("Members@odata.nextLink")}}, "")
            if following is None:
                return
            collection = self.get(following).body

    def refusal(self) -> str:
        """Return why a resource that is there was not given; empty if each one was."""
        refused = (one for one in self._found.values() if isinstance(one, RefusedError))
        return next((str(one) for one in refused if not one.missing), "")
