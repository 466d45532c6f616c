"""A real vLLM of two ranks, killed and started again: its tokens, and why `usage` says others.

What the product counts is held against the growth of vLLM's page, read by another road, to the
token. What the answers told differs from the page; each kind of request says by how much, and why.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.vllm.counts import KINDS, Counts
from tests.vllm.scenario import Done, run_everything
from tests.vllm.server import PYTHON, SERVE
from tests.vllm.work import Line

pytestmark = pytest.mark.e2e

COLUMNS = {kind: f"n_{kind}" if kind == "generated" else f"n_prompt_{kind}" for kind in KINDS}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    if not PYTHON.exists() or not SERVE.exists():
        pytest.skip("vLLM is not installed: run `make e2e-vllm`")
    found = run_everything(tmp_path_factory.mktemp("vllm"))
    show(found)
    return found


def sums(done: Done, what: str) -> Counts:
    """Return what both lives of the server counted."""
    total: Counts = Counter()
    for life in done.lives:
        total.update(getattr(life, what))
    return total


def lines_of(done: Done) -> list[tuple[Line, Counts]]:
    return [both for life in done.lives for both in life.lines]


def beyond(line: Line, page: Counts) -> tuple[int, int]:
    """Return by how much the page has more prompts and generated tokens than `usage`."""
    return page["prompts"] - line.usage["prompts"], page["generated"] - line.usage["generated"]


def test_the_page_is_known_for_vllm_with_two_engines(done: Done) -> None:
    [line] = [line for line in done.checked.splitlines() if " chat at " in line]
    assert line.startswith("ok ")
    assert "vLLM; generated, prompt_cached, prompt_computed" in line
    assert "2 engines; requests by finish reason, ttft, tpot, e2e" in line


def test_tokens_are_the_differences_of_the_page(done: Done) -> None:
    page = sums(done, "given")
    found = {kind: done.job[column] for kind, column in COLUMNS.items()}
    assert found == {kind: page[kind] for kind in KINDS}
    assert page["generated"] > 5_000
    assert page["cached"] > 1_000


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_what_the_killed_server_made_after_it_was_read(done: Done, kind: str) -> None:
    of = "generated" if kind == "generated" else f"prompt_{kind}"
    rows = [row for row in done.usage if row["kind"] == of]
    made = sums(done, "made")[kind]
    assert sum(row["low"] for row in rows) <= made <= sum(row["high"] for row in rows)
    if kind == "generated":
        assert made > done.job["n_generated"]  # something was lost, or this shows nothing
        assert done.job["n_low"] <= made <= done.job["n_high"]


def test_both_ranks_worked_in_both_lives(done: Done) -> None:
    for life in done.lives:
        assert set(life.engines) == {"0", "1"}
        assert all(engine["generated"] > 0 for engine in life.engines.values())


def test_each_difference_from_usage_is_explained(done: Done) -> None:
    for line, page in lines_of(done):
        prompts, generated = beyond(line, page)
        assert line.more_prompts[0] <= prompts <= line.more_prompts[1], (line, page)
        assert line.more_generated[0] <= generated <= line.more_generated[1], (line, page)
        if not line.why:
            assert page["cached"] == line.usage["cached"], (line, page)


def test_the_server_was_lost_and_found_once(done: Done) -> None:
    kinds = Counter(row["kind"] for row in done.events)
    assert (kinds["tokens_lost"], kinds["tokens_found"]) == (1, 1)


def test_joules_per_token_hold_the_truth(done: Done) -> None:
    job = done.job
    assert job["e_gpu_low_nj"] <= done.truth_j * 1e9 <= job["e_gpu_high_nj"]


def show(done: Done) -> None:
    """Print the page beside the product, and each difference from `usage`."""
    page, made = sums(done, "given"), sums(done, "made")
    ready = ", ".join(f"{life.ready_s:.0f} s" for life in done.lives)
    print(f"\nvLLM was ready after {ready}")
    print(f"{'tokens':12}{'page':>10}{'product':>10}{'off':>6}{'made':>10}")
    for kind, column in COLUMNS.items():
        found = done.job[column]
        print(f"{kind:12}{page[kind]:10,}{found:10,}{found - page[kind]:6}{made[kind]:10,}")
    low, high = done.job["n_low"], done.job["n_high"]
    print(f"generated is {low:,} to {high:,}; {done.job['reason_codes']}")
    print(f"\n{'':24}{'prompts':>8}{'usage':>8}{'more':>7}{'generated':>11}{'usage':>8}{'more':>7}")
    total = Line("all of these")
    all_counted: Counts = Counter()
    for line, counted in lines_of(done):
        print_line(line, counted)
        total.usage.update(line.usage)
        all_counted.update(counted)
    print_line(total, all_counted)
    print(f"J: true {done.truth_j:.6g}, found {int(done.job['e_gpu_nj']) / 1e9:.6g}")


def print_line(line: Line, page: Counts) -> None:
    prompts, generated = beyond(line, page)
    print(
        f"{line.name:24}{page['prompts']:8,}{line.usage['prompts']:8,}{prompts:7,}"
        f"{page['generated']:11,}{line.usage['generated']:8,}{generated:7,}  {line.why}"
    )
