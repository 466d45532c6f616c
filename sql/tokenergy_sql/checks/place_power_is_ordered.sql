-- Power of places: peak >= p99 >= p50 >= lowest, within bounds, and no sum above its parts' peaks.
-- fail, hourly
-- In: place_hour. Out: the places of which something does not fit, and what.
--
-- The peak of a sum is at most the sum of the peaks of its parts over the same cells, so that no
-- coincidence is above 1. Histograms have each known cell once, and their highest bin the peak.
WITH
judged AS (
    SELECT
        *,
        CASE
            WHEN (cells = 0) <> (peak_mw IS NULL) THEN 'cells'
            WHEN peak_mw < p99_mw OR p99_mw < p50_mw OR p50_mw < min_mw THEN 'percentiles'
            WHEN mean_mw > peak_mw + 1 OR mean_mw < min_mw - 1 THEN 'mean'
            WHEN peak_low_mw > peak_mw OR peak_high_mw < peak_mw THEN 'bounds'
            WHEN
                greatest(peak_in_module_mw, peak_in_hall_mw, peak_in_site_mw) IS NOT NULL
                AND peak_mw IS NULL
                AND present_us = us_per_hour()
                AND kind = 'rack'
                THEN 'known around it, and not itself'
            WHEN cells * step_us > present_us THEN 'more than the time that nodes stood there'
            WHEN coalesce(list_sum(counts), 0) <> cells THEN 'histogram'
            -- Edges are doubles: a power at an edge may be in the bin beside it.
            WHEN
                peak_mw >= 1000
                AND watts(peak_mw) NOT BETWEEN pow(1.005, list_max(bins) - 1) * 0.999999
                AND pow(1.005, list_max(bins)) * 1.000001
                THEN 'highest bin'
        END AS what
    FROM place_hour
),
part AS (
    SELECT
        hour_us,
        unnest([
            CASE WHEN kind = 'node' THEN 'rack:' || rack END,
            CASE WHEN kind = 'rack' THEN 'module:' || "module" END,
            CASE WHEN kind = 'rack' THEN 'hall:' || hall END,
            CASE WHEN kind = 'rack' THEN 'site' END
        ]) AS place,
        unnest([peak_in_rack_mw, peak_in_module_mw, peak_in_hall_mw, peak_in_site_mw]) AS peak_mw
    FROM place_hour
    WHERE kind IN ('node', 'rack') AND "method" = 'boards'
),
apart AS (
    SELECT hour_us, place, sum(peak_mw) AS apart_mw
    FROM part
    WHERE place IS NOT NULL
    GROUP BY ALL
),
whole AS (
    SELECT hour_us, place, max(peak_mw) AS peak_mw
    FROM place_hour
    WHERE "method" = 'boards' AND kind IN ('rack', 'module', 'hall', 'site')
    GROUP BY ALL
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    place, "method", what, min_mw, p50_mw, p99_mw, peak_mw
FROM judged
WHERE what IS NOT NULL
UNION ALL
SELECT
    strftime(make_timestamp(w.hour_us), '%Y-%m-%dT%H:00Z'),
    w.place, 'boards', 'coincidence above 1', NULL, NULL, a.apart_mw, w.peak_mw
FROM whole AS w
LEFT JOIN apart AS a USING (hour_us, place)
WHERE w.peak_mw > coalesce(a.apart_mw, 0)
ORDER BY ALL
