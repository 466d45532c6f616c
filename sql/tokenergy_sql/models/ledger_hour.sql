-- The ledger of one hour, added up by device, account and job: what sums over time start from.
-- In: ledger, parameters. Out: ledger_hour.
SELECT
    device_id,
    node,
    (SELECT hour_us FROM parameters) AS hour_us,
    account,
    job_id,
    sum(energy_nj) AS energy_nj,
    sum(low_nj) AS low_nj,
    sum(high_nj) AS high_nj,
    coalesce(sum(high_nj) FILTER (WHERE energy_nj IS NULL), 0) AS gap_high_nj,
    sum(device_us)::BIGINT AS device_us,
    sum(covered_us)::BIGINT AS covered_us,
    sum(counter_nj) FILTER (WHERE k IS NOT NULL) AS counter_nj,
    sum(integral_nj) FILTER (WHERE k IS NOT NULL) AS counted_integral_nj,
    max(max_gap_us) AS max_gap_us,
    string_agg(DISTINCT method, '+' ORDER BY method) AS method,
    bool_or(attribution = 'shared_estimate') AS shared,
    max(end_us) AS as_of_us
FROM ledger
GROUP BY ALL
