-- The building's figures by hour: PUE, WUE and the others, with bounds and coverage.
-- In: site_hour. Out: one row a place, hour and figure: the columns of site_hour, and the figure.
--
-- An hour's figure is `interim`: ISO/IEC 30134-2 defines PUE over a year. Of several hours, take
-- site_figure_by, which divides sums; a mean of these values is no figure of anything.
--
--   value      above / below, see figure_of; NULL if the meters are known at no time
--   low        lower bound of value; NULL if a bound of a sum is unknown
--   high       upper bound of value; NULL too if below may be 0
--   unit       of value: 1 (a ratio), L/kWh, kg/kWh or kWh
--   coverage   covered_us / 1 h: the part of the hour that the figure is of
--   meters     how many meters the figure has, above and below the line
--   interim    true: the figure is of less than a calendar year
CREATE VIEW site_figure AS
SELECT
    place, hour_us, figure,
    found.value, found.low, found.high, found.unit,
    covered_us,
    covered_us / 3600000000 AS coverage,
    pue_category,
    true AS interim,
    len(json_keys(json_merge_patch(above_meters, below_meters))) AS meters,
    missing,
    above, above_low, above_high, below, below_low, below_high,
    index_version
FROM (
    SELECT
        *,
        figure_of(figure, above, above_low, above_high, below, below_low, below_high) AS found
    FROM site_hour
)
