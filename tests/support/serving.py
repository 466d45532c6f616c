"""A job that serves on one of two devices, as its counters of tokens say."""

from __future__ import annotations

from tests.support.lakes import T0, LakeBuilder, S, level


def serving(builder: LakeBuilder, job: str = "j", *, tokens: int = 5_000) -> None:
    """Two devices of a node at 200 W for 100 s; a job that makes some tokens holds one for 50 s.

    Node, devices and site are of the job's name.
    """
    for number, name in enumerate((f"{job} A", f"{job} B")):
        builder.device(name, node=job, index=number, site=job)
        builder.power(name, level(200_000, T0, T0 + 100 * S), node=job)
    of = {"name": "chat", "user": "u", "account": "a", "node": job}
    builder.job(job, f"{job} A", T0 + 10 * S, T0 + 60 * S, **of)
    for kind, count in (
        ("generated", tokens),
        ("prompt_computed", 3_000),
        ("prompt_cached", 2_000),
    ):
        readings = [(T0 + 10 * S, 0), (T0 + 60 * S, count)]
        builder.tokens(job, readings, kind=kind, source_id=job, node=job)
