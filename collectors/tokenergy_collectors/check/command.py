"""Runs the preflight on this host, or on an emulated one.

In: options and a configuration file. Out: findings, each as soon as it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenergy_collectors.base.clock import SystemClock, VirtualClock
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.check.preflight import preflight
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host


def check_host(
    config_path: Path | None, *, lake: str | None, node: str | None, emulate: str | None
) -> Iterator[Finding]:
    """Yield the findings about a host.

    Raises:
        UserError: an option or the configuration cannot be used.
    """
    config = load_toml(config_path, Config, {"lake": lake, "node": node})
    if emulate is None:
        log = Log(config.log_format)
        yield from preflight(config, Host(config.node, SystemClock(), log, cluster=config.cluster))
        return
    # Imported here: only emulated boards need the emulator.
    from tokenergy_collectors.emulate.profile.profile import load_profile
    from tokenergy_collectors.emulate.run.emulated import emulated_config
    from tokenergy_collectors.emulate.run.node import EmulatedNode

    profile = load_profile(emulate)
    clock = VirtualClock(profile.start_us)
    with EmulatedNode(profile, config.node, clock) as emulated:
        host = Host(
            config.node,
            clock,
            Log(config.log_format),
            emulated=True,
            declared=emulated.allocations,
            cluster=config.cluster,
        )
        yield from preflight(emulated_config(config, emulated), host)
