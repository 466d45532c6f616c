-- The power of the modules of a type, and of the site, as summed histograms of a span.
-- In: place_hour; $type, $since, $until. Out: a row `type`, a row `site`, a row `known` that names
-- the types with nodes.
WITH
chosen AS (
    SELECT
        *,
        CASE WHEN kind = 'site' THEN 'site' ELSE 'type' END AS what
    FROM place_hour
    WHERE
        hour_us >= $since
        AND hour_us < $until
        AND (kind = 'site' OR (kind = 'module' AND "type" = $type))
),
known AS (
    SELECT what, "method", sum(cells) AS cells FROM chosen GROUP BY ALL
),
compared AS (
    SELECT *, max(cells) OVER (PARTITION BY what) AS best FROM known
),
-- What is added to the site must be measured as the site is.
picked AS (
    SELECT "method"
    FROM compared
    WHERE 2 * cells >= best AND cells > 0
    GROUP BY "method"
    ORDER BY count(*) DESC, list_position(['metered', 'boards+host', 'boards'], "method")
    LIMIT 1
),
used AS (
    SELECT c.* FROM chosen AS c JOIN picked USING ("method")
),
bin_of AS (
    SELECT what, bin, sum(cells_in) AS cells_in
    FROM (SELECT what, unnest(bins) AS bin, unnest(counts) AS cells_in FROM used)
    GROUP BY ALL
),
histogram AS (
    SELECT what, list(bin ORDER BY bin) AS bins, list(cells_in ORDER BY bin) AS counts
    FROM bin_of
    GROUP BY what
)
SELECT
    u.what,
    count(DISTINCT u.place) AS places,
    any_value(u."method") AS "method",
    max(u.peak_mw) AS peak_mw,
    arg_max(u.rated_mw, u.hour_us) AS rated_mw,
    any_value(h.bins) AS bins,
    any_value(h.counts) AS counts,
    bool_or(u.emulated) AS emulated,
    NULL AS names
FROM used AS u
LEFT JOIN histogram AS h USING (what)
GROUP BY u.what
UNION ALL BY NAME
SELECT 'known' AS what, string_agg(DISTINCT "type", ', ' ORDER BY "type") AS names
FROM place_hour
WHERE kind = 'module' AND hour_us >= $since AND hour_us < $until
