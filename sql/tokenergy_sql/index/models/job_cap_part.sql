-- What jobs drew above caps of 50 to 90 % of their boards' power limits, for some devices.
-- In: power_of_row (rows of the ledger with the power of their segments), device_now. Out: job_id,
-- limited, over_NN_low_nj, over_NN_high_nj.
--
-- The integral of max(P - cap, 0) over a segment does not follow from its statistics, but its
-- bounds do. P is between the segment's least and most power and has its mean, and max(x - cap, 0)
-- is convex: the mean alone gives the lower bound (Jensen), and power that is always either the
-- least or the most gives the upper one (the chord). Power at both cuts counts among least and
-- most. Uncovered time is left out. Whole milliwatts, so that sums do not depend on their order.
WITH
above AS (
    SELECT
        r.job_id,
        r.covered_us,
        d.limit_mw::BIGINT AS limit_mw,
        r.segment_nj // r.segment_us AS mean_mw,
        least(r.min_mw, r.end_mw, r.before_mw, mean_mw)::BIGINT AS least_mw,
        greatest(r.max_mw, r.end_mw, r.before_mw, mean_mw + 1)::BIGINT AS most_mw,
        mean_mw + 1 - least_mw AS rise_mw,
        most_mw - least_mw AS range_mw
    FROM power_of_row AS r
    LEFT JOIN device_now AS d USING (device_id)
    WHERE r.job_id IS NOT NULL AND r.covered_us > 0
)
SELECT
    job_id,
    count(limit_mw) = count(*) AS limited,
    sum(covered_us * greatest(mean_mw - limit_mw * 50 // 100, 0)) AS over_50_low_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 60 // 100, 0)) AS over_60_low_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 70 // 100, 0)) AS over_70_low_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 80 // 100, 0)) AS over_80_low_nj,
    sum(covered_us * greatest(mean_mw - limit_mw * 90 // 100, 0)) AS over_90_low_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 50 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 50 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_50_high_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 60 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 60 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_60_high_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 70 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 70 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_70_high_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 80 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 80 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_80_high_nj,
    sum(covered_us * greatest(
        mean_mw + 1 - limit_mw * 90 // 100,
        (rise_mw * greatest(most_mw - limit_mw * 90 // 100, 0) + range_mw - 1) // range_mw
    )) AS over_90_high_nj
FROM above
GROUP BY job_id
