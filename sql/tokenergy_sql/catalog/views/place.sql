-- Where one device stands, and what board it is.
-- In: device_now. Out: one row a device.
--
-- A name counts inside what it stands in: two halls may both have a rack 1.
--
--   gpu   board name
--   pod   SITE/HALL/POD, as far as they are known; NULL where the pod is not
--   rack  SITE/HALL/POD/RACK, as far as they are known; NULL where the rack is not
--   hall  SITE/HALL, as far as they are known; NULL where the hall is not
CREATE VIEW place AS
SELECT
    device_id,
    "name" AS gpu,
    node,
    CASE WHEN rack IS NOT NULL THEN concat_ws('/', site, hall, pod, rack) END AS rack,
    CASE WHEN pod IS NOT NULL THEN concat_ws('/', site, hall, pod) END AS pod,
    CASE WHEN hall IS NOT NULL THEN concat_ws('/', site, hall) END AS hall,
    site
FROM device_now
