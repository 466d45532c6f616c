-- Power of racks, modules, halls or the site over a span, and their J per token.
-- In: place_hour, place_tokens_by; grouped, one of rack, module, hall, type (modules by their
-- type), site; since, until, the first hour and the hour after the last one (TIMESTAMP, ISO 8601
-- text or microseconds; NULL: all hours). Out: one row a group and workload.
--
-- Power is the mean of cells of 10 s in which all of a place is known. Percentiles are those of the
-- summed histograms of all hours, never means of percentiles: the upper edge of a bin, so at most
-- 0.5 % too high. Of the methods of a place the first counts that is known for at least half the
-- time of the best one: metered, boards+host, boards.
--
--   name             the rack, module, hall or type; site
--   hall             halls that it stood in, separated by commas
--   type             declared types of its module, separated by commas
--   places           how many places: of a type, its modules; else 1
--   hours            hours with a row
--   nodes            most nodes of an hour; of a type, of a module
--   rated_kw         declared rating, the last one; of a type, of one module
--   energy_kwh       known energy; of a type, of all its modules
--   low_kwh          lower bound of energy_kwh; NULL if an hour has none
--   high_kwh         upper bound of energy_kwh
--   mean_kw          mean power of the known cells
--   p50_kw           median
--   p99_kw           99th percentile
--   peak_kw          highest cell
--   peak_low_kw      lower bound of peak_kw; NULL: a metered one has none
--   peak_high_kw     upper bound of peak_kw
--   peak_us          start of a cell with the peak
--   coverage         known time / time for which nodes stood there
--   load_factor      mean_kw / peak_kw
--   coincidence      peak of the sum / sum of the peaks of its racks (of a rack: of its nodes),
--                    boards alone, over cells in which all of it is known; NULL for types
--   parts            how many racks (nodes) that is of
--   stranded_kw      rated_kw - p99_kw
--   stranded_peak_kw  rated_kw - peak_kw
--   missing          nodes and meters that were not known in all of some hour
CREATE MACRO modules_by(grouped, since := NULL, until := NULL) AS TABLE
    WITH
    chosen AS MATERIALIZED (
        SELECT
            *,
            CASE WHEN kind = 'site' THEN 'site' ELSE substr(place, len(kind) + 2) END AS own
        FROM place_hour
        WHERE
            good_period('all', since, until)
            AND (since IS NULL OR hour_us >= stamp_us(since))
            AND (until IS NULL OR hour_us < stamp_us(until))
    ),
    of_kind AS (
        SELECT *, CASE grouped WHEN 'type' THEN "type" ELSE own END AS name
        FROM chosen
        WHERE
            kind = CASE grouped WHEN 'type' THEN 'module' ELSE grouped END
            AND (grouped <> 'type' OR "type" IS NOT NULL)
    ),
    of_method AS (
        SELECT place, "method", sum(cells * step_us) AS known_us
        FROM of_kind
        GROUP BY place, "method"
    ),
    compared AS (
        SELECT *, max(known_us) OVER (PARTITION BY place) AS best_us
        FROM of_method
    ),
    picked AS (
        SELECT
            place,
            arg_min("method", list_position(['metered', 'boards+host', 'boards'], "method"))
                AS "method"
        FROM compared
        WHERE 2 * known_us >= best_us
        GROUP BY place
    ),
    used AS MATERIALIZED (
        SELECT o.* FROM of_kind AS o JOIN picked AS p USING (place, "method")
    ),
    bin_of AS (
        SELECT name, bin, sum(cells_in) AS cells_in
        FROM (SELECT name, unnest(bins) AS bin, unnest(counts) AS cells_in FROM used)
        GROUP BY ALL
    ),
    ranked AS (
        SELECT
            *,
            sum(cells_in) OVER (PARTITION BY name ORDER BY bin) AS upto,
            sum(cells_in) OVER (PARTITION BY name) AS whole
        FROM bin_of
    ),
    quantile AS (
        SELECT
            name,
            pow(1.005, min(bin) FILTER (WHERE upto >= 0.5 * whole)) / 1e3 AS p50_kw,
            pow(1.005, min(bin) FILTER (WHERE upto >= 0.99 * whole)) / 1e3 AS p99_kw
        FROM ranked
        GROUP BY name
    ),
    summed AS (
        SELECT
            name,
            string_agg(DISTINCT hall, ',' ORDER BY hall) AS hall,
            string_agg(DISTINCT "type", ',' ORDER BY "type") AS "type",
            string_agg(DISTINCT "method", ',' ORDER BY "method") AS "method",
            count(DISTINCT place) AS places,
            count(DISTINCT hour_us) AS hours,
            max(nodes) AS nodes,
            arg_max(rated_mw, hour_us) / 1e6 AS rated_kw,
            sum(energy_nj) / 3.6e15 AS energy_kwh,
            CASE WHEN count(low_nj) = count(energy_nj) THEN sum(low_nj) / 3.6e15 END AS low_kwh,
            CASE WHEN count(high_nj) = count(energy_nj) THEN sum(high_nj) / 3.6e15 END
                AS high_kwh,
            sum(mean_mw * cells) / nullif(sum(cells), 0) / 1e6 AS mean_kw,
            max(peak_mw) / 1e6 AS peak_kw,
            CASE WHEN count(peak_low_mw) = count(peak_mw) THEN max(peak_low_mw) / 1e6 END
                AS peak_low_kw,
            CASE WHEN count(peak_high_mw) = count(peak_mw) THEN max(peak_high_mw) / 1e6 END
                AS peak_high_kw,
            arg_max(peak_us, peak_mw) AS peak_us,
            sum(cells * step_us) / nullif(sum(present_us), 0) AS coverage,
            nullif(array_to_string(list_sort(list_distinct(flatten(
                list(string_split(missing, ',')) FILTER (WHERE missing IS NOT NULL)
            ))), ','), '') AS missing,
            bool_or(emulated) AS emulated
        FROM used
        GROUP BY name
    ),
    -- Peaks of the parts, each over cells in which all of the group is known.
    part AS (
        SELECT
            CASE grouped
                WHEN 'rack' THEN rack WHEN 'module' THEN "module"
                WHEN 'hall' THEN hall WHEN 'site' THEN 'site'
            END AS name,
            place,
            max(CASE grouped
                WHEN 'rack' THEN peak_in_rack_mw WHEN 'module' THEN peak_in_module_mw
                WHEN 'hall' THEN peak_in_hall_mw WHEN 'site' THEN peak_in_site_mw
            END) AS peak_mw
        FROM chosen
        WHERE kind = CASE grouped WHEN 'rack' THEN 'node' ELSE 'rack' END AND "method" = 'boards'
        GROUP BY ALL
    ),
    together AS (
        SELECT name, sum(peak_mw) AS apart_mw, count(peak_mw) AS parts
        FROM part
        GROUP BY name
    ),
    of_boards AS (
        SELECT name, max(peak_mw) AS peak_mw
        FROM of_kind
        WHERE "method" = 'boards' AND grouped <> 'type'
        GROUP BY name
    ),
    of_tokens AS (FROM place_tokens_by(grouped, since := since, until := until))
    SELECT
        s.name, s.hall, s."type", s."method", s.places, s.hours, s.nodes, s.rated_kw,
        s.energy_kwh, s.low_kwh, s.high_kwh, k.facility_kwh,
        s.mean_kw,
        least(q.p50_kw, s.peak_kw) AS p50_kw,
        least(q.p99_kw, s.peak_kw) AS p99_kw,
        s.peak_kw, s.peak_low_kw, s.peak_high_kw, s.peak_us,
        s.coverage,
        s.mean_kw / nullif(s.peak_kw, 0) AS load_factor,
        b.peak_mw / nullif(t.apart_mw, 0) AS coincidence,
        t.parts,
        s.rated_kw - least(q.p99_kw, s.peak_kw) AS stranded_kw,
        s.rated_kw - s.peak_kw AS stranded_peak_kw,
        s.missing,
        k.workload, k.jobs, k.n_joint,
        k.tokenergy, k.te_low, k.te_high, k.te_gpu, k.te_gpu_low, k.te_gpu_high,
        s.emulated
    FROM summed AS s
    LEFT JOIN quantile AS q USING (name)
    LEFT JOIN together AS t USING (name)
    LEFT JOIN of_boards AS b USING (name)
    LEFT JOIN of_tokens AS k USING (name)
    UNION ALL BY NAME
    SELECT good::VARCHAR AS name, good::VARCHAR AS workload
    FROM (
        SELECT
            good_period('all', since, until)
            AND good_argument(
                grouped IN ('rack', 'module', 'hall', 'type', 'site'),
                'grouped ' || coalesce(grouped::VARCHAR, 'NULL')
                || ': expected rack, module, hall, type or site'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY name, workload
