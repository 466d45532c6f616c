-- Where each device was over time, and its board.
-- In: device_at. Out: one row a device and change of what was recorded.
--
-- Names are qualified by what contains them, since two halls may both have a rack 1.
--
--   gpu   board name
--   pod   SITE/HALL/POD, without unknown parts; NULL if the pod is unknown
--   rack  SITE/HALL/POD/RACK, without unknown parts; NULL if the rack is unknown
--   hall  SITE/HALL, without unknown parts; NULL if the hall is unknown
CREATE VIEW place_at AS
SELECT
    device_id,
    from_us,
    to_us,
    "name" AS gpu,
    node,
    CASE WHEN rack IS NOT NULL THEN concat_ws('/', site, hall, pod, rack) END AS rack,
    CASE WHEN pod IS NOT NULL THEN concat_ws('/', site, hall, pod) END AS pod,
    CASE WHEN hall IS NOT NULL THEN concat_ws('/', site, hall) END AS hall,
    site
FROM device_at
