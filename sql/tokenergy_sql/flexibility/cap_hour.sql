-- Each job's hours at full rate, with the power limits and the throttling of its boards.
-- In: job_efficiency, job_index, ledger_hour, device_at, state, allocation; $since, $until. Out:
-- one row a job and hour: the limits in force (mW), boards, energy, tokens and time at full rate,
-- shares of readings in which a board was held back by power or by heat (NULL: no reading says).
WITH
hour AS (
    SELECT * FROM job_efficiency
    WHERE hour_us >= coalesce($since, 0) AND hour_us < coalesce($until, 9000000000000000)
),
held AS (
    SELECT DISTINCT l.job_id, l.hour_us, l.device_id
    FROM ledger_hour AS l
    JOIN hour USING (job_id, hour_us)
    WHERE l.device_us > 0
),
limited AS (
    SELECT
        h.job_id,
        h.hour_us,
        count(DISTINCT h.device_id) AS boards,
        min(d.limit_mw) AS limit_low_mw,
        max(d.limit_mw) AS limit_high_mw,
        count(DISTINCT h.device_id) FILTER (WHERE d.limit_mw IS NULL) AS unlimited
    FROM held AS h
    LEFT JOIN device_at AS d
        ON d.device_id = h.device_id
        AND d.from_us < h.hour_us + us_per_hour()
        AND d.to_us > h.hour_us
    GROUP BY h.job_id, h.hour_us
),
-- NVML's bits: 4 is the software power cap; 8, 32, 64 and 128 are heat and power brakes.
throttled AS (
    SELECT
        h.job_id,
        h.hour_us,
        avg(((s.throttle & 4) <> 0)::INTEGER) AS capped_share,
        avg(((s.throttle & 232) <> 0)::INTEGER) AS hot_share
    FROM held AS h
    JOIN state AS s
        ON s.device_id = h.device_id
        AND s.ts_us >= h.hour_us
        AND s.ts_us < h.hour_us + us_per_hour()
    WHERE
        s.throttle IS NOT NULL
        AND EXISTS (
            SELECT 1
            FROM allocation AS a
            WHERE
                a.job_id = h.job_id
                AND a.device_id = h.device_id
                AND a.start_us <= s.ts_us
                AND coalesce(a.end_us, 9000000000000000) > s.ts_us
        )
    GROUP BY h.job_id, h.hour_us
)
SELECT
    e.job_id,
    e.hour_us,
    j.model,
    j.gpu,
    j.workload,
    l.boards,
    l.limit_low_mw,
    l.limit_high_mw,
    l.unlimited,
    e.peak_tokens_s,
    e.e_steady_nj,
    e.e_steady_low_nj,
    e.e_steady_high_nj,
    e.n_steady,
    e.steady_us,
    t.capped_share,
    t.hot_share,
    e.emulated
FROM hour AS e
JOIN job_index AS j USING (job_id)
LEFT JOIN limited AS l USING (job_id, hour_us)
LEFT JOIN throttled AS t USING (job_id, hour_us)
ORDER BY e.job_id, e.hour_us
