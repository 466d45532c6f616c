-- The calibration of cards, all of it: there are few, and one of a name holds for many.
-- In: calibration. Out: the columns of calibration.
SELECT * FROM calibration
