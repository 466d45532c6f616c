"""The mutations of the tool's tokens, and of the time in which energy and tokens are known."""

from __future__ import annotations

from tests.oracle.mutation import MODELS, Mutation

TOKEN_MUTATIONS = [
    # Restarts
    Mutation(
        "processes are not told apart",
        f"{MODELS}/token_reading_several.sql",
        "CASE WHEN a.counter IS NULL THEN f.first_us ELSE f.since_us END AS process",
        "NULL::BIGINT AS process",
        "restarts",
    ),
    Mutation(
        "two processes that live at once leave nothing open",
        f"{MODELS}/token_turn.sql",
        "AND a.last_us > b.start_us + us_per_second()",
        "AND false",
        "taking_turns",
    ),
    Mutation(
        "a counter that fell adds nothing",
        f"{MODELS}/token_step.sql",
        "WHEN what = 'restart' THEN value",
        "WHEN what = 'restart' THEN 0",
        "falls",
    ),
    Mutation(
        "a dead process made nothing that was not read",
        f"{MODELS}/token_step.sql",
        "WHEN what = 'restart' THEN unseen",
        "WHEN what = 'restart' THEN 0",
        "falls",
    ),
    Mutation(
        "nothing is made before the first reading",
        f"{MODELS}/token_value.sql",
        "THEN least(greatest(edge_us, coalesce(process, edge_us)) - first_us, 0)",
        "THEN 0",
    ),
    Mutation(
        "tokens at an edge are those of the reading before",
        f"{MODELS}/token_value.sql",
        "(right_tokens - left_tokens)::HUGEINT * (edge_us - left_us) // (right_us - left_us)",
        "0 * (right_tokens - left_tokens)::HUGEINT * (edge_us - left_us) // (right_us - left_us)",
    ),
    # Energy and tokens of the same time
    Mutation(
        "a lost server is no reason to stop",
        f"{MODELS}/time_state.sql",
        "AND coalesce(sum(losts) OVER job, 0) = 0",
        "AND true",
    ),
    Mutation(
        "a row of the ledger counts whole at an edge of the joint time",
        f"{MODELS}/job_joint.sql",
        "(greatest(l.start_us, j.from_us) - l.start_us)::HUGEINT AS a",
        "0::HUGEINT AS a",
    ),
    Mutation(
        "tokens between two readings are inside wherever the edge is",
        f"{MODELS}/job_joint.sql",
        "bool_or(j.from_us <= g.from_us AND j.to_us >= g.to_us) AS inside",
        "true AS inside",
    ),
    Mutation(
        "the joint time bears the whole host",
        f"{MODELS}/joint_hour.sql",
        "c.e_host_nj * c.part_us // c.all_us AS host_nj",
        "c.e_host_nj AS host_nj",
    ),
    Mutation(
        "all energy is divided by the tokens of the joint time",
        f"{MODELS}/indices.sql",
        "joules(e_joint_facility_nj) / n_index AS tokenergy",
        "joules(e_facility_nj) / n_index AS tokenergy",
    ),
    Mutation(
        "a ratio needs as much joint time as other time",
        "sql/tokenergy_sql/catalog/views/units.sql",
        "least_joint_coverage() AS 0.1",
        "least_joint_coverage() AS 0.5",
    ),
    Mutation(
        "a single low reading counts",
        f"{MODELS}/token_judged.sql",
        "value < before AND after >= before AS low",
        "false AS low",
        "odd_value",
    ),
    Mutation(
        "a high reading counts",
        f"{MODELS}/token_judged.sql",
        "value > after AND coalesce(beyond < value, true) AND (",
        "false AND (",
        "odd_value",
    ),
]
"""One broken rule each."""
