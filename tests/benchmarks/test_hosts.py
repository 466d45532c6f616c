"""Truth is inside the bounds of measured and modelled hosts, in hours that taught nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from benchmarks.hosts import inside, main, trial


@pytest.mark.parametrize("boards_off", [-0.015, 0.0, 0.015])
@pytest.mark.parametrize("nodes", [1, 3, 8])
def test_truth_is_inside_the_bounds(nodes: int, boards_off: float) -> None:
    found = trial(nodes, boards_off, nodes=nodes, teach_h=168, test_h=72)
    assert inside(found.metered, "measured") == 1.0
    methods = Counter(host.method for host in found.modelled.found)
    # An hour of a load that the model does not know is not modelled.
    assert methods["modelled"] >= 0.9 * methods.total()
    assert inside(found.modelled, "modelled") >= 0.95


def test_the_model_follows_the_load_and_its_bounds_are_not_idle() -> None:
    """It is far better than the mean host, and a tenth of its bounds would not hold the truth."""
    found = trial(1, 0.0, teach_h=168, test_h=72)
    truth_w, value_w, low_w, high_w = found.modelled.of("modelled")
    model_rms = np.sqrt(np.mean((value_w - truth_w) ** 2))
    assert model_rms < 0.3 * np.std(truth_w)
    tenth = (high_w - low_w) / 20
    assert np.mean(np.abs(value_w - truth_w) <= tenth) < 0.9


def test_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    shown = capsys.readouterr().out
    assert shown.count("truth inside: ") == 4
    assert "modelled, other nodes, later hours: 1344 of 1344 hours" in shown
