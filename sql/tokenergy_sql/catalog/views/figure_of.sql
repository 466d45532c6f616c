-- A figure of the building from its two sums: value, bounds and unit.
-- In: figure, its name; above, above_low, above_high, the sum above the line and its bounds; below,
-- below_low, below_high, the one below it. Out: STRUCT(value, low, high, unit).
--
-- wue is L/kWh, cue is kg CO2e/kWh; all others but facility and it (pue, intake, cooling, other,
-- losses, erf, ref, cfe, losses_modelled, pue_modelled) are energy / energy, unit 1. facility and
-- it are the energy above the line, kWh. The value is NULL where nothing is below the line. low is
-- above_low / below_high, high is above_high / below_low: NULL if one of these is unknown or 0. Add
-- sums up before you call it, as site_figure_by does: a mean of ratios is no figure of anything.
CREATE MACRO figure_of(figure, above, above_low, above_high, below, below_low, below_high) AS
CASE
    WHEN figure IN ('facility', 'it')
        THEN {
            value: above / 3.6e15,
            low: above_low / 3.6e15,
            high: above_high / 3.6e15,
            unit: 'kWh'
        }
    ELSE {
        value: CASE WHEN below > 0 THEN above / below END
        * CASE figure WHEN 'wue' THEN 3.6e9 WHEN 'cue' THEN 3.6e6 ELSE 1 END,
        -- If more is given back than comes in, the sum above the line is negative: its bounds are
        -- then farther from 0 over the smaller sum.
        low: CASE WHEN below > 0 THEN above_low END
        / nullif(greatest(CASE WHEN above_low >= 0 THEN below_high ELSE below_low END, 0), 0)
        * CASE figure WHEN 'wue' THEN 3.6e9 WHEN 'cue' THEN 3.6e6 ELSE 1 END,
        high: CASE WHEN below > 0 THEN above_high END
        / nullif(greatest(CASE WHEN above_high >= 0 THEN below_low ELSE below_high END, 0), 0)
        * CASE figure WHEN 'wue' THEN 3.6e9 WHEN 'cue' THEN 3.6e6 ELSE 1 END,
        unit: CASE figure WHEN 'wue' THEN 'L/kWh' WHEN 'cue' THEN 'kg/kWh' ELSE '1' END
    }
END
