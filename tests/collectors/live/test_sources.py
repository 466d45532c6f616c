"""The health of every source: in metrics and in the log, whether it works or fails."""

import pytest

from tests.support.live import S, Shown
from tokenergy_collectors.sources.tokens.settings import TokenSource

WORKING = ("gpu", "gpu/state", "clock", "jobs", "tokens/n1/chat")
FAILING = "tokens/down"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What is served at 20.05 s, with one token endpoint on a port that nothing listens on."""
    down = TokenSource(source_id="down", url="http://127.0.0.1:9/metrics", job_id="chat")
    shown = Shown(tmp_path_factory.mktemp("lake"), tokens=(down,), roll_s=10)
    shown.at(20.05, lambda _, metrics: setattr(shown, "metrics", metrics))
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("sys.stderr", _Lines(lines))
        shown.run(21)
    shown.lines = lines
    return shown


class _Lines:
    def __init__(self, lines):
        self._lines = lines

    def write(self, text):
        self._lines += text.splitlines()

    def flush(self):
        pass


def test_a_source_that_works_serves_success_duration_and_time(seen):
    start_s = seen.profile.start_us / S
    for source in WORKING:
        assert seen.metrics.one("collector_source_success", source=source) == 1, source
        assert seen.metrics.one("collector_source_duration_seconds", source=source) >= 0, source
        last_s = seen.metrics.one("collector_source_last_success_timestamp_seconds", source=source)
        assert start_s <= last_s <= start_s + 20.05, source
    last_s = seen.metrics.one("collector_source_last_success_timestamp_seconds", source="gpu")
    assert last_s == pytest.approx(start_s + 20.0, abs=1e-3)


def test_a_source_that_fails_serves_its_failure_and_no_time_of_success(seen):
    assert seen.metrics.one("collector_source_success", source=FAILING) == 0
    assert seen.metrics.one("collector_source_duration_seconds", source=FAILING) >= 0
    assert not seen.metrics.all("collector_source_last_success_timestamp_seconds", source=FAILING)


def test_the_log_has_a_line_for_each_source_at_every_seal(seen):
    for source, success in (*((name, "true") for name in WORKING), (FAILING, "false")):
        found = [
            line
            for line in seen.lines
            if f" event=source source={source} success={success}" in line
        ]
        assert len(found) == 3, source  # at 10 s, at 20 s and at the stop
    [failed] = [line for line in seen.lines if f"event=source_failed source={FAILING}" in line]
    assert "refused" in failed
