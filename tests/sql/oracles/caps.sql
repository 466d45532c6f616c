-- What jobs drew above caps of 50 to 90 % of their boards' power limits: the rules of
-- `tokenergy_transforms/booking/caps.py` in SQL alone.
-- In: ledger, segment (both of the hour), device_now. Out: job_id, limited, over_NN_low_nj,
-- over_NN_high_nj.
WITH
power AS (
    SELECT
        device_id, start_us, energy_nj, covered_us, min_mw, max_mw, end_mw,
        -- Of the last segment with readings: NULL where readings ended within it.
        last_value(CASE WHEN covered_us > 0 THEN struct_pack(mw := end_mw) END IGNORE NULLS) OVER (
            PARTITION BY device_id ORDER BY start_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ).mw AS before_mw
    FROM segment
),
above AS (
    SELECT
        l.job_id,
        l.covered_us,
        d.limit_mw::BIGINT AS limit_mw,
        r.energy_nj // r.covered_us AS mean_mw,
        least(r.min_mw, r.end_mw, r.before_mw, mean_mw)::BIGINT AS least_mw,
        greatest(r.max_mw, r.end_mw, r.before_mw, mean_mw + 1)::BIGINT AS most_mw,
        mean_mw + 1 - least_mw AS rise_mw,
        most_mw - least_mw AS range_mw
    FROM ledger AS l
    JOIN power AS r USING (device_id, start_us)
    LEFT JOIN device_now AS d USING (device_id)
    WHERE l.job_id IS NOT NULL AND l.covered_us > 0
)
SELECT
    job_id,
    count(limit_mw) = count(*) AS limited,
    sum(covered_us * greatest(mean_mw - limit_mw * 50 // 100, 0)) AS over_50_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 50 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 50 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_50_high_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 60 // 100, 0)) AS over_60_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 60 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 60 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_60_high_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 70 // 100, 0)) AS over_70_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 70 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 70 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_70_high_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 80 // 100, 0)) AS over_80_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 80 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 80 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_80_high_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 90 // 100, 0)) AS over_90_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 90 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 90 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_90_high_nj
FROM above
GROUP BY job_id
