"""The mutations of the tool: one broken rule each."""

from __future__ import annotations

from tests.oracle.mutation import BOOKING, LAKE, MODELS, Mutation
from tests.oracle.tokenmutations import TOKEN_MUTATIONS

MUTATIONS = [
    # Identity
    Mutation(
        "a counter is known without its node",
        f"{MODELS}/token_counter.sql",
        "n.job_id, n.node, n.source_id, n.model, n.engine, n.kind, n.own_metric, n.own_series",
        "n.job_id, n.source_id, n.model, n.engine, n.kind, n.own_metric, n.own_series",
        "same_source",
        "allocation_ids",
    ),
    Mutation(
        "a counter is known without its labels",
        f"{MODELS}/token_counter.sql",
        "n.job_id, n.node, n.source_id, n.model, n.engine, n.kind, n.own_metric, n.own_series",
        "n.job_id, n.node, n.source_id, n.model, n.engine, n.kind, n.own_metric",
        "parallel",
    ),
    Mutation(
        "ranks are added",
        "sql/tokenergy_sql/catalog/views/units.sql",
        "'^sglang[:_]'",
        "'^nothing'",
        "ranks",
    ),
    Mutation(
        "two names of one metric are added",
        f"{MODELS}/token_usage.sql",
        "coalesce(max(tokens) FILTER (WHERE own_metric IS NOT NULL), 0)",
        "coalesce(sum(tokens) FILTER (WHERE own_metric IS NOT NULL), 0)",
        "two_names",
    ),
    Mutation(
        "a job is known without its cluster",
        f"{LAKE}/jobkey.py",
        'return f"{cluster}{SEPARATOR}{job_id}" if cluster else job_id',
        "return job_id",
        "clusters",
    ),
    Mutation(
        "an allocation is known without its id",
        f"{LAKE}/corrections.py",
        'if row.get("allocation_id") is not None:\n        return ("id"',
        'if False:\n        return ("id"',
        "allocation_ids",
        "corrected",
    ),
    Mutation(
        "the first record of an allocation counts",
        f"{LAKE}/corrections.py",
        "_rank(row) > _rank(self._latest[key])",
        "_rank(row) < _rank(self._latest[key])",
        "corrected",
    ),
    Mutation(
        "a later list replaces nothing that it overlaps",
        f"{LAKE}/corrections.py",
        'if recorded_us > row["recorded_us"] and end_us > row["start_us"]:',
        "if False:",
        "corrected",
    ),
    Mutation(
        "PCI addresses are compared with their domains as written",
        f"{LAKE}/devicenames.py",
        'key = f"{bus}:{device}.{function or 0}".lower()',
        'key = f"{domain}{bus}:{device}.{function or 0}".lower()',
        "by_name",
    ),
    Mutation(
        "a UUID is compared letter by letter",
        f"{LAKE}/devicenames.py",
        'return text.lower().removeprefix("gpu-")',
        'return text.removeprefix("gpu-")',
        "by_name",
    ),
    # The past stays
    Mutation(
        "an index is resolved by what is known now",
        f"{LAKE}/allocations.py",
        "device_id, remark = self.history.find(here, text, at_us)",
        "device_id, remark = self.history.find(here, text, 1 << 60)",
        "renumbered",
    ),
    Mutation(
        "a job holds a board wherever it is taken",
        f"{LAKE}/allocations.py",
        "        if seen.node not in names:\n",
        "        if False:\n",
        "moved",
    ),
    Mutation(
        "a MIG partition is that of now",
        f"{LAKE}/devicehistory.py",
        "return seen[max(bisect_right(seen, at_us, key=_when) - 1, 0)]",
        "return seen[-1]",
        "repartitioned",
        "mig",
    ),
    Mutation(
        "a MIG instance is a whole board",
        f"{LAKE}/allocations.py",
        'max(1, row["share_ppm"] * part_ppm // WHOLE_PPM)',
        'row["share_ppm"]',
        "mig",
    ),
    Mutation(
        "constants of the site have no date",
        "sql/tokenergy_sql/index/site.py",
        "return sum(from_us <= hour_us for from_us, _ in self.periods)",
        "return len(self.periods)",
    ),
    # Continuity: hosts, pools, shares
    Mutation(
        "a host is shared by watched time alone",
        f"{MODELS}/host_share.sql",
        "ELSE n.host_mw::HUGEINT * n.watched_us * h.device_us // n.capacity_us",
        "ELSE n.host_mw::HUGEINT * h.device_us",
    ),
    Mutation(
        "idle energy goes to whoever was there",
        f"{MODELS}/pool_share.sql",
        "greatest(sum(device_us), 1)::HUGEINT AS whole_us",
        "greatest(sum(device_us) FILTER (WHERE job_id IS NOT NULL), 1)::HUGEINT AS whole_us",
    ),
    Mutation(
        "claims on more than a board are not scaled",
        f"{MODELS}/claim.sql",
        "greatest(whole_ppm(), sum(share_ppm))::BIGINT AS whole_ppm",
        "whole_ppm()::BIGINT AS whole_ppm",
    ),
    Mutation(
        "what nobody holds of a board is not booked",
        f"{MODELS}/claim.sql",
        "WHERE declared_ppm < whole_ppm()\n",
        "WHERE false\n",
    ),
    # Energy and its bounds
    Mutation(
        "meters do not err",
        f"{MODELS}/sensor_class.sql",
        "CASE WHEN data_centre THEN 50000 ELSE 55000 END",
        "0",
        "errs",
    ),
    Mutation(
        "meters have no offset",
        f"{MODELS}/sensor_class.sql",
        "CASE WHEN data_centre THEN 1200 ELSE 12500 END",
        "0",
        "errs",
    ),
    Mutation(
        "nothing is moved at an edge",
        f"{MODELS}/edge.sql",
        "CASE WHEN movable THEN least(guess_nj, movable_nj) ELSE 0 END",
        "0",
        "lagging",
    ),
    Mutation(
        "a counter is exact between its readings",
        f"{MODELS}/edge.sql",
        "coalesce(l.open_end_nj, 0)",
        "0",
        "rare_counter",
    ),
    Mutation(
        "the least power of the hour is no part of a bound",
        f"{MODELS}/edge.sql",
        "coalesce(l.idle_mw, r.idle_mw) AS idle_mw",
        "0 AS idle_mw",
        "lagging",
    ),
    Mutation(
        "unknown time is bounded by nothing",
        f"{BOOKING}/parts.py",
        "low, high = np.int64(0), limit_mw * length_us",
        "low, high = np.int64(0), np.int64(0)",
        "silence",
    ),
    Mutation(
        "meters that dispute are bounded by one of them",
        f"{BOOKING}/parts.py",
        "method[i] = FLAGGED if abs(k[i] - 1) <= 0.05 else DISPUTED",
        "method[i] = FLAGGED",
        "errs",
    ),
    Mutation(
        "counter and samples meet in slots of a minute",
        f"{BOOKING}/blocks.py",
        "SLOT_US = 30_000_000",
        "SLOT_US = 60_000_000",
        "errs",
    ),
    Mutation(
        "power is known over any silence",
        "transforms/tokenergy_transforms/readings.py",
        "limits = [max(3 * p,",
        "limits = [max(3 * p + 60_000_000,",
        "silence",
    ),
    Mutation(
        "a job that holds a board is at work",
        f"{BOOKING}/accounts.py",
        "        return ACTIVE\n    return RESIDENT_IDLE",
        "        return ACTIVE\n    return ACTIVE",
    ),
    # The same time, the same sums
    Mutation(
        "tokens of all kinds bound the index",
        f"{MODELS}/job_hour_sums.sql",
        "sum(high) FILTER (WHERE kind = 'generated')::BIGINT AS generated_high",
        "sum(high)::BIGINT AS generated_high",
    ),
    Mutation(
        "the facility's upper bound has no host",
        f"{MODELS}/job_hour_sums.sql",
        "b.e_gpu_high_nj + coalesce(t.unseen_high_nj, 0) + h.e_host_nj\n",
        "b.e_gpu_high_nj + coalesce(t.unseen_high_nj, 0)\n",
    ),
    Mutation(
        "the hosts of unseen time draw nothing",
        f"{MODELS}/job_hour_sums.sql",
        "+ CASE WHEN v.job_id IS NULL THEN 0 ELSE v.unseen_host_nj END, site.pue_ppm",
        "+ 0, site.pue_ppm",
        "moved",
    ),
    Mutation(
        "unseen time has no upper bound",
        f"{MODELS}/job_hour_sums.sql",
        "coalesce(b.e_gpu_high_nj + t.unseen_high_nj, b.e_gpu_high_nj, CASE",
        "coalesce(b.e_gpu_high_nj, CASE",
        "replaced",
        "slivers",
    ),
    *TOKEN_MUTATIONS,
]
"""All mutations; `python -m tests.oracle.mutations` runs them."""
