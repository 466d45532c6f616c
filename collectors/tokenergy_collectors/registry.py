"""The list of sources. To add a source, add its class to `SOURCES`.

In: the configuration and the host. Out: the sources of one run.
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.sampler.gpus import Gpus
from tokenergy_collectors.sources.bacnet.source import BacnetMeters
from tokenergy_collectors.sources.clock.source import Clocks
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.jobs.source import Jobs
from tokenergy_collectors.sources.kubernetes.source import KubernetesPods
from tokenergy_collectors.sources.modbus.source import ModbusMeters
from tokenergy_collectors.sources.nut.source import UpsMeters
from tokenergy_collectors.sources.openadr.source import OpenadrEvents
from tokenergy_collectors.sources.otlp.source import OtlpTokens
from tokenergy_collectors.sources.processes.source import ProcessJobs
from tokenergy_collectors.sources.rapl.source import RaplMeters
from tokenergy_collectors.sources.redfish.source import BmcMeters
from tokenergy_collectors.sources.reports.source import TokenReports
from tokenergy_collectors.sources.signals.source import Signals
from tokenergy_collectors.sources.slurm.source import SlurmJobs
from tokenergy_collectors.sources.snmp.source import SnmpMeters
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.textfile.source import Textfiles
from tokenergy_collectors.sources.tokens.source import Tokens

SOURCES: dict[str, type[Source[Any]]] = {
    source.name: source
    # At the edge of a job or an hour the sources are read in this order. The boards come last:
    # they are read in the sampling thread, while the others already work in threads of their own.
    for source in (
        Clocks,
        Tokens,
        TokenReports,
        OtlpTokens,
        Jobs,
        SlurmJobs,
        KubernetesPods,
        ProcessJobs,
        Textfiles,
        ModbusMeters,
        BmcMeters,
        UpsMeters,
        SnmpMeters,
        BacnetMeters,
        RaplMeters,
        Signals,
        OpenadrEvents,
        Gpus,
    )
}
"""The sources by name."""


def make_sources(config: Any, host: Host) -> list[Source[Any]]:
    """Return all sources for one run.

    Args:
        config: the configuration, with the keys of every source.
        host: the host that they read.

    Raises:
        UserError: a file or setting that a source needs cannot be used.
    """
    return [source(config, host) for source in SOURCES.values()]
