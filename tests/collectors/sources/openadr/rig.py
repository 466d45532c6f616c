"""An `openadr` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, S
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.openadr.settings import OpenadrKeys
from tokenergy_collectors.sources.openadr.source import OpenadrEvents

__all__ = ["T0_US", "Rig", "S"]


class Rig(MeterRig):
    """A source that polls every 10 s."""

    def __init__(self, url, lake=None, **keys):
        self.lake = lake
        table = {"name": "utility", "url": url, "ven_name": "site-1", "every_s": 10.0, **keys}
        super().__init__(OpenadrEvents, OpenadrKeys.model_validate({"openadr": [table]}))

    def add(self, table, rows):
        if table == "grid_event":
            self.rows += [TABLES[table].as_dict(row) for row in rows]
        else:
            super().add(table, rows)
