-- The part of an amount between two running sums of weights; the parts add up to the amount.
-- In: amount, an integer; lower, upper, the running sum of weights without and with this part;
-- total, the sum of all weights. Out: HUGEINT.
CREATE MACRO part_of(amount, lower, upper, total) AS
amount::HUGEINT * upper::HUGEINT // total::HUGEINT
- amount::HUGEINT * lower::HUGEINT // total::HUGEINT
