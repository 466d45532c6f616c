-- When a job's token counters moved: one row a pair of neighbouring readings between which one grew.
-- In: tokens, parameters. Out: job_id, from_us, to_us, moved.
-- Serves the ledger: a segment that overlaps a moving interval of its job is active.
WITH reading AS (
    SELECT
        job_id, source_id, engine, kind, ts_us, value, epoch,
        lag(ts_us) OVER counter AS from_us,
        lag(value) OVER counter AS from_value,
        lag(epoch) OVER counter AS from_epoch
    FROM tokens
    WINDOW counter AS (PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us)
)
SELECT
    job_id,
    from_us,
    ts_us AS to_us,
    bool_or(value <> from_value OR epoch > from_epoch) AS moved
FROM reading
WHERE from_us < ts_us
  AND ts_us > (SELECT hour_us FROM parameters)
  AND from_us < (SELECT hour_us + 3600000000 FROM parameters)
GROUP BY ALL
