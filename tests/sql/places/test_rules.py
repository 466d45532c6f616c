"""Each rule of places, meters and losses: a file that breaks it has one line, its repair none."""

from __future__ import annotations

import pytest

from tests.sql.places.files import BASE, meter, places_of, problems_of

JULY = "2026-07-01T00:00:00Z"


def test_the_base_is_right() -> None:
    assert problems_of(BASE) == []
    assert problems_of("") == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[hall]]\nname = "c"\ncolour = "red"', "hall.2: unknown key 'colour' = 'red'; allowed: "
         "from, until, name, names, cooling"),
        ('[[hall]]\nname = "c"\ncooling = "ice"', "hall.2.cooling: Input should be 'air', 'liquid' "
         "or 'mixed', got 'ice'"),
        ('[[hall]]\nname = ""', "hall.2.name: String should have at least 1 character, got ''"),
        ('[[hall]]\nname = " c"', "hall.2.name: expected a name without blanks around it"),
        ("[[hall]]", 'hall.2: name, names: expected one: name = "a", or names = ["a{1..8}"]'),
        ('[[rack]]\nname = "r3"', "rack.2: module, hall: expected one: where the rack stands"),
        ('[[rack]]\nname = "r3"\nmodule = "a1"\nhall = "a"', "rack.2: module, hall: expected one"),
        ('[[rack]]\nnames = ["r{5..4}"]\nhall = "a"', "rack.2.names: names: 'r{5..4}': a range of "
         "0 names; allowed: 1 to 10000"),
        ('[[placed]]\nrack = "r1"', 'placed.1: node, nodes: expected one: node = "n1"'),
        (f'[[hall]]\nname = "c"\nfrom = {JULY}\nuntil = {JULY}', "hall.2: from, until: expected "
         "from < until, both in the years 2000 to 2099 (UTC)"),
        ('[[hall]]\nname = "c"\nfrom = 1999-01-01T00:00:00Z', "hall.2: from, until: expected from"),
        ('[[module_type]]\nname = "x"\nracks = 0', "module_type.1.racks: Input should be greater"),
    ],
)  # fmt: skip
def test_a_table_of_places_is_strict(text: str, line: str) -> None:
    (found,) = problems_of(BASE + text)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[module]]\nname = "b1"\nhall = "x"',
         "module.1 (\"b1\"): no [[hall]] is called 'x'; there are: a, b"),
        ('[[module]]\nname = "b1"\nhall = "b"\ntype = "tow"',
         "module.1 (\"b1\"): no [[module_type]] is called 'tow'; there are: two"),
        ('[[rack]]\nname = "r3"\nmodule = "a2"',
         "rack.2 (\"r3\"): no [[module]] is called 'a2'; there are: a1"),
        ('[[placed]]\nnode = "n"\nrack = "r7"',
         "placed.1 (\"n\"): no [[rack]] is called 'r7'; there are: r1, r2, r9"),
        (meter("m", 'place = "rack:r5"'),
         "meter.0 (\"m\"): no [[rack]] is called 'r5'; there are: r1, r2, r9"),
        (meter("m", 'place = "node:gpu-5"'),
         "meter.0 (\"m\"): no [[placed]] is called 'gpu-5'; there are: gpu-1, gpu-2, gpu-3, gpu-4"),
        (meter("m", 'feeds = ["n"]'),
         "meter.0 (\"m\"): feeds 'n', which is no meter's id; there are: m"),
        ('[[loss]]\nname = "u"\npoints = [[1, 1]]\nbetween = ["m"]',
         "loss.0 (\"u\"): between 'm', which is no meter's id; there is none"),
        (meter("m") + '[[loss]]\nname = "u"\nplace = "hall:z"\npoints = [[1, 1]]\nbetween = ["m"]',
         "loss.0 (\"u\"): no [[hall]] is called 'z'; there are: a, b"),
    ],
)  # fmt: skip
def test_a_name_must_be_there(text: str, line: str) -> None:
    assert problems_of(BASE + text) == [line]


def test_a_name_must_be_there_all_the_time() -> None:
    late = f'[[hall]]\nname = "c"\nfrom = {JULY}\n[[module]]\nname = "c1"\nhall = "c"\n'
    assert problems_of(late) == [
        "module.0 (\"c1\"): hall 'c' is not there until 2026-07-01T00:00:00Z; give this entry the "
        "same `from` and `until`, or add an entry of the hall for that time"
    ]
    assert problems_of(late + f"from = {JULY}") == []
    assert problems_of(late + "from = 2026-06-30T23:59:59.999999Z") != []
    early = late.replace("from", "until")
    (found,) = problems_of(early)
    assert "hall 'c' is not there from 2026-07-01T00:00:00Z; give this entry" in found
    assert problems_of(early + f"until = {JULY}") == []
    # Two entries that meet leave no gap, two that do not meet do.
    for since, count in ((JULY, 0), ("2026-07-01T00:00:00.000001Z", 1)):
        halls = f'[[hall]]\nname = "c"\nuntil = {JULY}\n[[hall]]\nname = "c"\nfrom = {since}\n'
        found = problems_of(halls + '[[rack]]\nname = "r"\nhall = "c"')
        assert len(found) == count
        assert all("until 2026-07-01T00:00:00.000001Z" in line for line in found)


def test_a_name_is_at_one_place_at_a_time() -> None:
    def moves(until: str, since: str) -> str:
        first = f'[[rack]]\nname = "m"\nhall = "a"\nuntil = {until}\n'
        return BASE + first + f'[[rack]]\nname = "m"\nhall = "b"\nfrom = {since}\n'

    assert problems_of(moves(JULY, JULY)) == []
    assert problems_of(moves("2026-07-02T00:00:00Z", JULY)) == [
        'rack.2 ("m") and rack.3 ("m"): \'m\' is there twice (from 2026-07-01T00:00:00Z until '
        "2026-07-02T00:00:00Z); end the earlier entry with an `until`, or remove one"
    ]
    (node,) = problems_of(BASE + '[[placed]]\nnode = "gpu-2"\nrack = "r9"')
    assert node.startswith('placed.0 ("gpu-2") and placed.1 ("gpu-2"): ')
    # The short and the full name of a node are one node.
    (node,) = problems_of(BASE + '[[placed]]\nnode = "gpu-2.example.org"\nrack = "r9"')
    assert node.startswith('placed.0 ("gpu-2") and placed.1 ("gpu-2.example.org"): ')
    for text in (meter("m") + meter("m"), '[[hall]]\nname = "a"\n'):
        (found,) = problems_of(BASE + text)
        assert "is there twice (always)" in found


def test_a_module_holds_as_many_racks_as_its_type() -> None:
    third = BASE + '[[rack]]\nname = "r3"\nmodule = "a1"\n'
    assert problems_of(third) == [
        "module.0 (\"a1\"): has 3 racks at 2000-01-01T00:00:00Z, its type 'two' holds 2; correct "
        "`racks` of the type, or move racks"
    ]
    freed = third.replace('names = ["r{1..2}"]', f'names = ["r{{1..2}}"]\nuntil = {JULY}')
    freed = freed.replace('rack = "r1"', f'rack = "r1"\nuntil = {JULY}')
    assert len(problems_of(freed)) == 1
    assert problems_of(freed + f"from = {JULY}") == []


def test_a_module_is_cooled_as_its_hall() -> None:
    (found,) = problems_of(BASE + '[[module]]\nname = "b1"\nhall = "b"\ntype = "two"')
    assert found == (
        "module.1 (\"b1\"): is cooled by air (type 'two') in a hall cooled by liquid ('b'); if "
        'the hall has both, its cooling is "mixed"'
    )
    mixed = BASE.replace('"liquid"', '"mixed"') + '[[module]]\nname = "b1"\nhall = "b"\n'
    assert problems_of(mixed + 'type = "two"') == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ('unit = "kW"', "unit: 'kW' is no unit of energy; allowed: J, kJ, MJ, GJ, Wh, kWh, MWh, "),
        ('unit = "kwh"', "unit: 'kwh' is no unit of energy; allowed: J, "),
        ('role = "boss"', "role: 'boss' is no role; allowed: utility, generator, "),
        ('role = "water_in"', "role: 'water_in' is of flow or volume, not of energy"),
        ('feeds = ["x", "x"]', "feeds: 'x' is there twice and would be added twice; keep one"),
        ('reading = "momentary"', "reading: a meter of energy has a cumulative register; remove "),
        ("rollover = 10\nregister_bits = 32", "rollover, register_bits: expected one of them"),
        ("accuracy_absolute = 1", "accuracy_absolute: expected accuracy_percent beside it"),
        ("accuracy_percent = 101", "accuracy_percent: expected 0 to 100, per cent of the reading"),
        ("rollover = 10\nregister_first = 10", "register_first: expected less than 10, where the "),
    ],
)  # fmt: skip
def test_keys_of_a_meter_fit_together(more: str, line: str) -> None:
    key = more.partition(" ")[0]
    kept = [one for one in meter("m").splitlines() if not one.startswith(key)]
    (found,) = problems_of("\n".join([*kept, more]))
    assert found.startswith(f"meter.0: {line}")
    assert found.endswith("(meter 'm')")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("scale = true", "meter.0.scale: expected a number above 0 and up to 1e18, such as 0.1"),
        ("scale = 0", "meter.0.scale: expected a number above 0"),
        ('scale = "4000:5"', "meter.0.scale: expected a number above 0"),
        ('scale = "1/0"', "meter.0.scale: expected a number above 0"),
        ("scale = inf", "meter.0.scale: expected a number above 0"),
        ("rollover = -5", "meter.0.rollover: expected a number above 0"),
        ("register_first = -1", "meter.0.register_first: expected a number from 0 to 1e18"),
        ('place = "halls:a"', 'meter.0.place: expected "site", or a kind and a name: "hall:a"'),
        ('place = "site:x"', 'meter.0.place: expected "site"'),
        ("register_bits = 4", "meter.0.register_bits: Input should be greater than or equal to 8"),
    ],
)  # fmt: skip
def test_values_of_a_meter(more: str, line: str) -> None:
    (found,) = problems_of(meter("m", more))
    assert found.startswith(line)


def test_what_is_of_sums_alone_is_refused_elsewhere() -> None:
    for key in ("rollover", "register_bits", "max_per_h", "register_first", "register_last"):
        text = meter("m", f"{key} = 16", quantity="power")
        (found,) = problems_of(text)
        assert found.startswith(f"meter.0: {key}: only for cumulative registers"), found
        assert problems_of(text.replace("power", "energy").replace("kW", "kWh")) == []
    (found,) = problems_of(meter("m", 'feeds = ["n"]', role="supply_temp", quantity="temperature"))
    assert found.startswith("meter.0: feeds: a temperature is no sum of others")


def test_meters_feed_each_other_in_no_circle() -> None:
    ring = meter("x", 'feeds = ["y"]') + meter("y", 'feeds = ["z"]')
    assert problems_of(ring + meter("z")) == []
    (found,) = problems_of(ring + meter("z", 'feeds = ["x"]'))
    assert found.startswith('meter.0 ("x"): meters feed each other in a circle: ')
    assert "x feeds y feeds z feeds x (always)" in found
    (itself,) = problems_of(meter("x", 'feeds = ["x"]'))
    assert "x feeds x" in itself
    # A circle that is never closed at one time is none.
    z = f'feeds = ["x"]\nfrom = {JULY}'
    assert len(problems_of(ring + meter("z", z))) == 1
    x = f"until = {JULY}\n{meter('x', f'from = {JULY}')}"
    assert problems_of(ring.replace('feeds = ["y"]', f'feeds = ["y"]\n{x}', 1)
                       + meter("z", z)) == []  # fmt: skip


def test_no_sum_counts_a_meter_twice() -> None:
    directly = meter("p", 'feeds = ["a", "b"]') + meter("a", 'feeds = ["b"]') + meter("b")
    assert problems_of(directly) == [
        "meter.0 (\"p\"): feeds 'b' directly and through 'a', so its sum counts it twice (always); "
        "remove 'b' from the `feeds` of one of them"
    ]
    through = meter("p", 'feeds = ["a", "c"]') + meter("a", 'feeds = ["b"]')
    through += meter("c", 'feeds = ["b"]') + meter("b")
    assert problems_of(through) == [
        "meter.0 (\"p\"): feeds 'b' through 'a' and through 'c', so its sum counts it twice "
        "(always); keep it in the `feeds` of one, or meter each of its supplies"
    ]
    # The lowest meter whose sum is wrong is named, not each one above it.
    (deep,) = problems_of(meter("top", 'feeds = ["p"]') + through)
    assert deep.startswith("meter.1 (\"p\"): feeds 'b' through 'a' and through 'c'")
    # Two sources of one board are two meters whose sum is right.
    sources = meter("grid", 'feeds = ["b"]') + meter("diesel", 'feeds = ["b"]') + meter("b")
    assert problems_of(sources) == []


def test_a_sum_counts_twice_from_some_time_on() -> None:
    changed = meter("p", 'feeds = ["a", "b"]') + meter("b")
    changed += meter("a", f"until = {JULY}") + meter("a", f'feeds = ["b"]\nfrom = {JULY}')
    (found,) = problems_of(changed)
    assert "twice (from 2026-07-01T00:00:00Z)" in found
    moved = meter("p", f'feeds = ["a", "b"]\nuntil = {JULY}')
    moved += (
        meter("p", f'feeds = ["a"]\nfrom = {JULY}') + changed.partition('[[meter]]\nid = "b"')[1]
    )
    moved += changed.partition('[[meter]]\nid = "b"')[2]
    assert problems_of(moved) == []


def test_a_sum_counts_twice_what_is_far_below_a_new_link() -> None:
    rest = meter("q", 'feeds = ["c"]') + meter("b", 'feeds = ["c"]') + meter("c")
    first = meter("p", f'feeds = ["q"]\nuntil = {JULY}')
    assert problems_of(first + rest) == []
    (found,) = problems_of(first + meter("p", f'feeds = ["q", "b"]\nfrom = {JULY}') + rest)
    assert found.startswith(
        "meter.1 (\"p\"): feeds 'c' through 'b' and through 'q', so its sum counts it twice (from "
        "2026-07-01T00:00:00Z)"
    )


def test_a_meter_is_at_a_place_within_that_of_the_meter_above() -> None:
    def pair(outer: str, inner: str) -> list[str]:
        above = meter("p", f'place = "{outer}"\nfeeds = ["m"]')
        return problems_of(BASE + above + meter("m", f'place = "{inner}"'))

    for outer, inner in (
        ("site", "site"), ("site", "node:gpu-1"), ("hall:a", "module:a1"), ("hall:a", "rack:r2"),
        ("module:a1", "node:gpu-4"), ("rack:r1", "rack:r1"), ("hall:b", "rack:r9"),
    ):  # fmt: skip
        assert pair(outer, inner) == []
    for outer, inner in (("hall:b", "rack:r1"), ("rack:r1", "hall:a"), ("rack:r2", "node:gpu-1")):
        assert pair(outer, inner) == [
            f"meter.0 (\"p\"): feeds 'm' at {inner}, which is not in {outer} (always); correct the "
            "place of one of them, or what feeds it"
        ]


def test_a_rack_that_moves_takes_its_meter_out_of_the_hall() -> None:
    move = f'[[rack]]\nname = "m"\nhall = "a"\nuntil = {JULY}\n'
    move += f'[[rack]]\nname = "m"\nhall = "b"\nfrom = {JULY}\n'
    above = meter("p", 'place = "hall:a"\nfeeds = ["m"]')
    (found,) = problems_of(BASE + move + above + meter("m", 'place = "rack:m"'))
    assert "which is not in hall:a (from 2026-07-01T00:00:00Z)" in found
    split = meter("m", f'place = "rack:m"\nuntil = {JULY}')
    assert problems_of(BASE + move + above + split) == []


def test_sums_are_of_one_kind() -> None:
    water = meter("w", role="water_in", quantity="volume")
    (found,) = problems_of(meter("p", 'feeds = ["w"]') + water)
    assert found.startswith("meter.0 (\"p\"): has energy and feeds 'w', which has volume; a sum is")
    assert problems_of(meter("p", 'feeds = ["q"]') + meter("q", quantity="power")) == []


def test_a_meter_keeps_its_quantity_when_it_is_replaced() -> None:
    old = meter("m", f"until = {JULY}")
    assert problems_of(old + meter("m", f"from = {JULY}")) == []
    (found,) = problems_of(old + meter("m", f"from = {JULY}", quantity="power"))
    assert found.startswith('meter.0 ("m") and meter.1 ("m"): one meter has energy and power; ')


def test_a_further_register_of_a_circuit_is_added_nowhere() -> None:
    energy = meter("kwh", role="utility")
    power = meter("kw", 'same_circuit_as = "kwh"', role="utility", quantity="power")
    tree = places_of(energy + power).meters.at(10**15)
    assert [one.id for one in tree.counted({"utility"})] == ["kwh"]
    for changed, line in (
        (('"kwh"', '"kvah"'), "same_circuit_as 'kvah' is no meter's id; there are: kw, kwh"),
        (('"kwh"', '"kw"'), "same_circuit_as 'kw': is a further register itself; name the meter"),
        (('"utility"', '"feeder"'), "same_circuit_as 'kwh': is utility at site, this is feeder at"),
    ):
        (found,) = problems_of(energy + power.replace(*changed))
        assert found.startswith(f'meter.1 ("kw"): {line}')
    (found,) = problems_of(energy + power + meter("top", 'feeds = ["kw"]', role="utility"))
    assert found.startswith("meter.2 (\"top\"): feeds 'kw', which is a further register of a ")
    (found,) = problems_of(energy + power.replace("same", 'feeds = ["kwh"]\nsame'))
    assert found.startswith("meter.1: feeds, same_circuit_as: expected one: what is fed is told ")


def test_what_feeds_and_what_is_fed_meet() -> None:
    early, late = f"until = {JULY}", f"from = {JULY}"
    (found,) = problems_of(meter("p", f'feeds = ["m"]\n{early}') + meter("m", late))
    assert found.startswith("meter.0 (\"p\"): feeds 'm', which is never there at the same time; ")


LOSS = '[[loss]]\nname = "ups"\npoints = [[0, 2], [80, 4.5]]\n'


def test_a_loss_is_a_curve() -> None:
    for points in (
        "[]",
        "[[1]]",
        "[[1, 2, 3]]",
        "[[2, 1], [1, 1]]",
        "[[1, -1]]",
        "[[1, 1], [1, 2]]",
    ):
        text = LOSS.replace("[[0, 2], [80, 4.5]]", points) + 'between = ["m"]\n'
        (found,) = problems_of(text + meter("m"))
        assert found.startswith("loss.0")
        assert "points" in found
    (loss,) = places_of(LOSS + 'between = ["m"]\n' + meter("m")).losses_at(10**15)
    assert loss.points_mw == ((0, 2_000_000), (80_000_000, 4_500_000))


def test_a_loss_that_two_meters_measure_is_refused() -> None:
    meters = meter("in", 'feeds = ["out"]', role="ups_in") + meter("out", role="ups_out")
    line = (
        'loss.0 ("ups"): the meters {}, as their difference (always); remove the loss, or end it '
        "with an `until` where both are there"
    )
    both = problems_of(LOSS + 'between = ["in", "out"]\n' + meters)
    assert both == [line.format("'in' and 'out' measure this loss")]
    # The meter at the other end need not be named.
    assert problems_of(LOSS + 'between = ["in"]\n' + meters) == both
    back = problems_of(LOSS + 'between = ["out"]\n' + meters)
    assert back == [line.format("'out' and 'in' measure this loss")]
    alone = meters.replace('id = "out"', f'id = "out"\nfrom = {JULY}')
    assert problems_of(LOSS + f'between = ["in", "out"]\nuntil = {JULY}\n' + alone) == []
    (late,) = problems_of(LOSS + 'between = ["in", "out"]\n' + alone)
    assert "difference (from 2026-07-01T00:00:00Z)" in late
    # A meter below that is no UPS's output does not measure the UPS.
    assert problems_of(LOSS + 'between = ["in"]\n' + meters.replace('"ups_out"', '"rack_in"')) == []


def test_a_loss_that_a_pue_holds_is_refused() -> None:
    curve = LOSS + 'place = "hall:a"\nbetween = ["m"]\n'
    rest = BASE + meter("m", role="ups_in")
    assert problems_of(curve + rest) == []
    (found,) = problems_of("[site]\npue = 1.3\n" + curve + rest)
    assert found == (
        'loss.0 ("ups"): pue under [site] is declared for site (always), and a PUE holds this loss '
        "already: it would be counted twice; remove the loss, or the PUE and meter the building"
    )
    period = f"[[period]]\nfrom = {JULY}\npue = 1.3\n"
    (found,) = problems_of(period + curve + rest)
    assert "pue under [[period]] is declared for site (from 2026-07-01T00:00:00Z)" in found
    assert problems_of(period + curve + f"until = {JULY}\n" + rest) == []
    assert problems_of(period.replace("pue", "host_w") + curve + rest) == []


def test_a_loss_is_declared_once() -> None:
    once = LOSS + 'between = ["m"]\n'
    (found,) = problems_of(once + once.replace('"ups"', '"again"') + meter("m"))
    assert found.startswith('loss.0 ("ups") and loss.1 ("again"): are the same loss, at m (always)')


def test_all_problems_are_told_at_once() -> None:
    text = BASE + '[[rack]]\nname = "x"\nhall = "q"\n' + meter("m", 'place = "hall:z"')
    assert len(problems_of(text)) == 2


@pytest.mark.parametrize(
    ("first", "then", "line"),
    [
        ("", f"from = {JULY}\ncontinues = true", None),
        ("", "continues = true", "continues, but no entry of 'm' ends where it begins"),
        (f"until = {JULY}", "from = 2026-07-02T00:00:00Z\ncontinues = true",
         "continues, but no entry of 'm' ends where it begins"),
        (f"until = {JULY}", f"from = {JULY}\ncontinues = true\nscale = 2", "as another register"),
        (f"until = {JULY}\nregister_last = 9", f"from = {JULY}\ncontinues = true",
         "as another register"),
        (f"until = {JULY}", f"from = {JULY}\ncontinues = true\nregister_first = 1",
         "expected one of them: a register that goes on is no new one"),
        (f"until = {JULY}", f"from = {JULY}\ncontinues = true\nregister_last = 9", ""),
        (f"until = {JULY}", f"from = {JULY}\ncontinues = true\nplace = \"hall:a\"", ""),
    ],
)  # fmt: skip
def test_what_continues_is_the_same_register(first: str, then: str, line: str | None) -> None:
    entries = [meter("m", first), meter("m", then)] if first else [meter("m", then)]
    if line is None or line == "":
        found = problems_of(BASE + "\n".join(entries))
        assert bool(found) == (line is None)
        return
    assert any(line in one for one in problems_of(BASE + "\n".join(entries)))


MODEL = (
    '[[pue_model]]\nplace = "hall:a"\nlosses = "curves"\ncooling = "modelled"\nother_kw = 0\n'
    '[[cooling]]\nplace = "hall:a"\nclass = "air"\nrated_kw = 80\n'
)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("", "", None),
        ('losses = "curves"\n', "", "losses, losses_kw: expected one"),
        (
            'losses = "curves"',
            'losses = "curves"\nlosses_kw = 1',
            "losses, losses_kw: expected one",
        ),
        ('cooling = "modelled"', "cooling_kw = 0", None),
        ('cooling = "modelled"\n', "", "cooling, cooling_kw: expected one"),
        # What no meter shows must be said, also if it is nothing.
        ("other_kw = 0\n", "", "other_kw"),
        ("other_kw = 0", "other_kw = -1", "other_kw"),
        ('"hall:a"\nlosses', '"module:a1"\nlosses', 'expected "site" or "hall:NAME"'),
        ('"hall:a"\nlosses', '"hall:z"\nlosses', "no [[hall]] is called 'z'"),
        ('"hall:a"\nclass', '"hall:b"\nclass', "needs a [[cooling]] of hall:a with `class`"),
        ("rated_kw = 80\n", "", "needs a [[cooling]] of hall:a with `class` and `rated_kw`"),
        ("rated_kw = 80\n", f"rated_kw = 80\nuntil = {JULY}\n", "(from 2026-07-01T00:00:00Z)"),
        (
            'cooling = "modelled"',
            'cooling = "metered"\ncooling_accuracy_percent = 1',
            "accuracy_pe",
        ),
    ],
)
def test_a_model_of_a_pue_says_every_part(old: str, new: str, line: str | None) -> None:
    assert old in MODEL
    found = problems_of(BASE + (MODEL.replace(old, new, 1) if old else MODEL))
    assert (found == []) if line is None else (line in found[0])


def test_a_declared_pue_may_stand_in_for_one_of_parts() -> None:
    curve = LOSS + 'place = "hall:a"\nbetween = ["m"]\n'
    rest = "[site]\npue = 1.3\n" + curve + BASE + meter("m", role="ups_in")
    assert len(problems_of(rest)) == 1
    assert problems_of(rest + MODEL) == []
    # Not while there is no model, nor where the model takes other losses than the curves.
    (late,) = problems_of(rest + MODEL.replace("other_kw = 0", f"other_kw = 0\nfrom = {JULY}"))
    assert "declared for site (until 2026-07-01T00:00:00Z), and a PUE holds this loss" in late
    assert len(problems_of(rest + MODEL.replace('losses = "curves"', "losses_kw = 2"))) == 1
    assert len(problems_of(rest + MODEL.replace("hall:a", "hall:b"))) == 1


def test_a_loss_says_on_which_side_it_is_metered() -> None:
    one = meter("m", role="pdu_out")
    assert problems_of(LOSS + 'between = ["m"]\nmetered = "before"\n' + one) == []
    (side,) = problems_of(LOSS + 'between = ["m"]\nmetered = "above"\n' + one)
    assert "metered" in side
    (two,) = problems_of(LOSS + 'between = ["m", "n"]\nmetered = "before"\n' + one)
    assert "expected `metered` only beside one meter" in two
    (falls,) = problems_of(LOSS.replace("[80, 4.5]", "[1, 0.5]") + 'between = ["m"]\n' + one)
    assert "load + loss must rise from point to point" in falls
    water = '[[meter]]\nid = "m"\nquantity = "volume"\nunit = "L"\nrole = "water_in"\n'
    (wrong,) = problems_of(LOSS + 'between = ["m"]\n' + water)
    assert "between 'm', which measures volume; expected a meter of power or energy" in wrong
