"""An ASOF join is no loop over all pairs, whatever DuckDB expects of the number of rows."""

from tokenergy_sql.catalog.duck import open_memory

JOIN = """
WITH few AS (SELECT device, t FROM booked WHERE meter = 'samples' AND t >= 0)
SELECT count(*) FROM few ASOF JOIN reading USING (device, t)
"""


def test_a_join_that_is_expected_to_be_empty_does_not_compare_all_pairs() -> None:
    with open_memory() as con:
        con.execute("CREATE TABLE reading AS SELECT 1 AS device, unnest(range(1000)) AS t")
        con.execute("CREATE TABLE booked AS SELECT *, 'samples' AS meter FROM reading LIMIT 3")
        (_, plan), *_ = con.execute(f"EXPLAIN {JOIN}").fetchall()
    assert "Asof Join" in plan
    assert "Nested Loop" not in plan
