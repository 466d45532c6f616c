"""The configuration keys of declared jobs."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class JobKeys(Strict):
    """Where jobs are declared."""

    jobs_file: str | None = Field(
        default=None,
        description="CSV file of allocations; the collector reads it again when it changes.",
        examples=["/etc/tokenergy/jobs.csv"],
    )
