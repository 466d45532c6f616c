-- The parts of the modelled PUEs that the job had, and the declared losses among them.
-- In: ledger_hour, node_hour, site_part. Out: one row an hour, place and part: pue_place (whose PUE
-- it is a part of) and the columns of site_part.
WITH had AS (
    SELECT DISTINCT n.hour_us, n.pue_place
    FROM ledger_hour AS l
    JOIN node_hour AS n USING (hour_us, node)
    WHERE l.job_id = getvariable('job_id') AND n.facility_method = 'modelled'
),
part AS (
    SELECT h.pue_place, p.*
    FROM had AS h
    JOIN site_part AS p ON p.hour_us = h.hour_us AND p.place = h.pue_place
    WHERE p.part <> 'loss'
)
FROM part
UNION ALL BY NAME
SELECT c.pue_place, p.*
FROM part AS c
JOIN site_part AS p
    ON p.hour_us = c.hour_us
    AND p.part = 'loss'
    AND contains(c.inputs, concat('"loss:', p."name", '"'))
WHERE c.part = 'losses'
ORDER BY hour_us, pue_place, part, "name", "method"
