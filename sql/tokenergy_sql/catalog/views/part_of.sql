-- The part of a whole amount that lies between two running sums of weights; parts add up to it.
-- In: amount, an integer; lower, upper, the running sum of weights before and with this part;
-- total, the sum of all weights. Out: HUGEINT.
CREATE MACRO part_of(amount, lower, upper, total) AS
    amount::HUGEINT * upper::HUGEINT // total::HUGEINT
    - amount::HUGEINT * lower::HUGEINT // total::HUGEINT
