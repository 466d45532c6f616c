-- How well each meter is known. In: meter_hour, $most. Out: at most $most meters, the least covered
-- first; `total` is the number of all. covered is a share of the hours that have the meter; what
-- counts nothing, such as a temperature, has none.
SELECT
    meter_id,
    arg_max(place, hour_us) AS place,
    arg_max(role, hour_us) AS role,
    arg_max(quantity, hour_us) AS quantity,
    arg_max(unit, hour_us) AS unit,
    count(*) AS hours,
    bool_or(factor IS NOT NULL) AS counts,
    CASE WHEN counts THEN sum(covered_us)::DOUBLE / (us_per_hour() * count(*)) END AS covered,
    sum(amount)::DOUBLE AS amount,
    CASE WHEN count(low) = count(amount) THEN sum(low)::DOUBLE END AS low,
    CASE WHEN count(high) = count(amount) THEN sum(high)::DOUBLE END AS high,
    sum(readings)::BIGINT AS readings,
    list_filter(
        list_sort(list_distinct(flatten(list(string_split(coalesce(doubts, ''), ','))))),
        lambda x: x <> ''
    ) AS doubts,
    count(*) OVER () AS total
FROM meter_hour
GROUP BY meter_id
ORDER BY covered NULLS LAST, meter_id
LIMIT $most
