"""The kinds of event that a collector writes to the table `event`, and what each means.

docs/contract.md lists them from here; a test compares them with the kinds that the code writes.
"""

from __future__ import annotations

EVENT_KINDS: dict[str, str] = {
    "start": "a collector's run began",
    "stop": "a collector's run ended",
    "lost": "a board does not answer, or the driver was lost",
    "found": "a board that was lost answers again",
    "counter_reset": "an energy counter restarted, or may have restarted while its board was lost",
    "sensor": "the board is read by another power reading from now on; `none`: it reports no power",
    "counter_lost": "a board no longer reports its energy counter",
    "counter_found": "a board reports its energy counter again",
    "gauges": "the gauges that a board no longer reports",
    "limit": "a power limit of a board changed",
    "device": "another property of a board, or its MIG instances, changed",
    "tokens_lost": "a token endpoint does not answer, and why; its tokens are unknown from now on",
    "tokens_found": "a token endpoint that was lost answers again",
    "kubelet_lost": "the kubelet does not answer, and why; pods keep their boards meanwhile",
    "kubelet_found": "a kubelet that was lost answers again",
    "meter_lost": "a meter of the facility or of the host (RAPL) gives no reading, and why: no "
    "answer, an error code, a value that stands for none, or no permission",
    "meter_found": "such a meter gives readings again, or has come since the start",
    "signal_lost": "a provider of a signal of the grid gives no answer, and why: its values are "
    "unknown until it does",
    "signal_found": "such a provider answers again",
    "vtn_lost": "a server of demand response (OpenADR) does not answer, and why; events of this "
    "time are recorded once it answers",
    "vtn_found": "such a server answers again",
    "grid_event": "an event of demand response is new, or was changed or cancelled",
    "stray": "a process is on a board that no job holds, or that other jobs hold; stamped with "
    "when it was first seen",
    "stray_over": "it left, a job explains it now, or the collector stopped; the same words",
    "stale": "a power reading or an energy counter is stuck at one value although it should move",
    "stale_over": "a stuck power reading or energy counter moves again",
    "implausible_power": "a board showed more power than it can draw, which is not recorded; "
    "once an hour while it goes on",
    "slow": "a call to a board took 0.1 s or longer",
    "slow_over": "calls to a slow board have been fast for 5 s",
    "meter_reset": "a new epoch of a host's energy meter, and why: how much it counted since its "
    "last reading is unknown",
    "late": "ticks began more than 5 ms late or were skipped: once a minute, and at the stop",
    "clock_step": "the wall clock was set; how far it is from the stamps now",
    "recovered": "rows that the logs of an earlier process held, and the time that they span",
    "torn": "the damaged end of a log was cut off; how many bytes",
    "quarantined": "a log that cannot be read was moved to quarantine",
    "drop": "rows were discarded: the disk's limit or age, a full log, or a row that does not fit",
    "upload_failed": "a file could not be uploaded, why, and how many wait; once until it works",
    "upload_works": "all waiting files were uploaded, after so many failed tries",
    "upload_lost": "files that the store held are missing from it; they are uploaded again",
    "error": "something else failed; the detail says what",
}
