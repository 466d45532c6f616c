-- Whether a period, and its first hour and the hour after the last one, can be used; else an error.
-- In: period, since, until, as in site_figure_by. Out: BOOLEAN, true.
CREATE MACRO good_period(period, since, until) AS CASE
    WHEN
        period IS NULL
        OR period NOT IN ('hour', 'day', 'week', 'month', 'year', 'all')
        THEN
            error(
                'period '
                || coalesce(period::VARCHAR, 'NULL')
                || ': expected hour, day, week, month, year or all'
            )::BOOLEAN
    WHEN since IS NOT NULL AND stamp_us(since) IS NULL
        THEN error('since: expected a TIMESTAMP, ISO 8601 or microseconds')::BOOLEAN
    WHEN until IS NOT NULL AND stamp_us(until) IS NULL
        THEN error('until: expected a TIMESTAMP, ISO 8601 or microseconds')::BOOLEAN
    ELSE true
END
