-- The building's figures by period: sums above / sums below the line, never a mean of ratios.
-- In: site_hour; period, one of hour, day, week, month, year, all; since, until, the first hour and
-- the hour after the last one (TIMESTAMP, ISO 8601 text or microseconds; NULL: all hours). Out: one
-- row a place, period and figure.
--
-- Periods are those of UTC; weeks begin on Monday (ISO 8601). `all` is from the first to the last
-- hour of any place, or from since to until. figure_of says what is divided.
--
--   period              the requested period
--   name                which one: 2026-01-15T08, 2026-01-15, 2026-W03, 2026-01, 2026 or all
--   from_us             its start
--   to_us               its end
--   value               sum of above / sum of below, in the unit of the figure; NULL if the meters
--                       are known at no time, or nothing is below
--   low                 lower bound of value; NULL if a bound of some hour's sum is unknown
--   high                upper bound of value; NULL too if below may be 0
--   unit                of value: 1 (a ratio), L/kWh, kg/kWh or kWh
--   hours               hours of the period in which the place has the figure
--   covered_us          time for which all meters of the figure are known, of all these hours
--   coverage            covered_us / these hours
--   coverage_of_period  covered_us / the whole period, hours without a row included
--   pue_category        where the IT energy is measured: the lowest category of any hour
--   interim             false only of a calendar year of whose every hour there is a row
--   meters              meters of the figure: the most of any hour
--   missing             meters not known in all of some hour, separated by commas
CREATE MACRO site_figure_by(period, since := NULL, until := NULL) AS TABLE
    WITH
    chosen AS (
        SELECT *, make_timestamp(hour_us) AS hour
        FROM site_hour
        WHERE
            good_period(period, since, until)
            AND (since IS NULL OR hour_us >= stamp_us(since))
            AND (until IS NULL OR hour_us < stamp_us(until))
    ),
    reach AS (
        SELECT
            coalesce(stamp_us(since), min(hour_us)) AS first_us,
            coalesce(stamp_us(until), max(hour_us) + 3600000000) AS end_us
        FROM chosen
    ),
    dated AS (
        SELECT
            c.* EXCLUDE (hour),
            len(json_keys(json_merge_patch(above_meters, below_meters))) AS meters,
            CASE period
                WHEN 'hour' THEN strftime(hour, '%Y-%m-%dT%H')
                WHEN 'day' THEN strftime(hour, '%Y-%m-%d')
                WHEN 'week' THEN strftime(hour, '%G-W%V')
                WHEN 'month' THEN strftime(hour, '%Y-%m')
                WHEN 'year' THEN strftime(hour, '%Y')
                WHEN 'all' THEN 'all'
            END AS name,
            CASE period
                WHEN 'hour' THEN hour_us
                WHEN 'day' THEN epoch_us(date_trunc('day', hour))
                WHEN 'week' THEN epoch_us(date_trunc('week', hour))
                WHEN 'month' THEN epoch_us(date_trunc('month', hour))
                WHEN 'year' THEN epoch_us(date_trunc('year', hour))
                ELSE r.first_us
            END AS from_us,
            CASE period
                WHEN 'hour' THEN hour_us + 3600000000
                WHEN 'day' THEN epoch_us(date_trunc('day', hour) + INTERVAL 1 DAY)
                WHEN 'week' THEN epoch_us(date_trunc('week', hour) + INTERVAL 7 DAY)
                WHEN 'month' THEN epoch_us(date_trunc('month', hour) + INTERVAL 1 MONTH)
                WHEN 'year' THEN epoch_us(date_trunc('year', hour) + INTERVAL 1 YEAR)
                ELSE r.end_us
            END AS to_us
        FROM chosen AS c
        CROSS JOIN reach AS r
    ),
    -- An hour whose meters are known at no time adds nothing, and takes no bound away.
    summed AS (
        SELECT
            place, name, from_us, to_us, figure,
            count(*) AS hours,
            sum(covered_us)::BIGINT AS covered_us,
            min(pue_category) AS pue_category,
            max(meters) AS meters,
            list_sort(list_distinct(flatten(list(string_split(missing, ','))))) AS left_out,
            sum(above)::DECIMAL(38, 0) AS above,
            CASE WHEN count(above_low) = count(above) THEN sum(above_low) END::DECIMAL(38, 0)
                AS above_low,
            CASE WHEN count(above_high) = count(above) THEN sum(above_high) END::DECIMAL(38, 0)
                AS above_high,
            sum(below)::DECIMAL(38, 0) AS below,
            CASE WHEN count(below_low) = count(below) THEN sum(below_low) END::DECIMAL(38, 0)
                AS below_low,
            CASE WHEN count(below_high) = count(below) THEN sum(below_high) END::DECIMAL(38, 0)
                AS below_high
        FROM dated
        GROUP BY place, name, from_us, to_us, figure
    ),
    judged AS (
        SELECT
            *,
            figure_of(figure, above, above_low, above_high, below, below_low, below_high) AS found
        FROM summed
    )
    SELECT
        period AS period,
        place, name, from_us, to_us, figure,
        found.value, found.low, found.high, found.unit,
        hours, covered_us,
        covered_us / (hours * 3600000000) AS coverage,
        covered_us / (to_us - from_us) AS coverage_of_period,
        pue_category,
        -- DuckDB would else know this without a row, and not look at a wrong period.
        good_period(period, since, until)
        AND (period <> 'year' OR hours * 3600000000 < to_us - from_us) AS interim,
        meters,
        -- Only some versions of DuckDB give text for an empty list.
        nullif(array_to_string(left_out, ','), '') AS missing,
        above, above_low, above_high, below, below_low, below_high
    FROM judged
    UNION ALL BY NAME
    -- Without rows nothing else would tell that the period is wrong. Each column that a condition
    -- may name tells it: DuckDB does not work out those that nobody asks for.
    SELECT
        good_period(period, since, until)::VARCHAR AS period,
        good_period(period, since, until)::VARCHAR AS place,
        good_period(period, since, until)::VARCHAR AS name,
        good_period(period, since, until)::VARCHAR AS figure
    WHERE NOT good_period(period, since, until)
    ORDER BY from_us, place, figure
