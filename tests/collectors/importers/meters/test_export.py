"""`import meters`: exports of building systems become rows of `meter`, or an error by line."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tests.support.snapshot import snapshot
from tokenergy_collectors import cli
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.meters.export import import_meters
from tokenergy_collectors.lake import Lake

N = 1_000_000_000
LONG = 'time = "Zeit"\nmeter = "Zähler"\nvalue = "Wert"\n'
SUMMER = '[summer]\ncolumn = "DST"\nyes = ["S", "MESZ"]\nno = ["W"]\n'
TWO = "2026-01-15 09:15;a;1\n2026-01-15 09:15;a;2"
GERMAN = LONG + (
    'format = "%d.%m.%Y %H:%M"\ntz = "Europe/Berlin"\ndecimal = ","\nthousands = "."\n'
)


def us(text, zone="UTC", fold=0):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp()) * 1_000_000


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake", create=True)


@pytest.fixture
def load(tmp_path, lake):
    """Import a file's text by a map's text; return the result, and the lake's readings."""

    def load(map_text, text):
        (tmp_path / "map.toml").write_text(map_text)
        (tmp_path / "export.csv").write_text(text)
        result = import_meters(lake, tmp_path / "export.csv", tmp_path / "map.toml", "dcim")
        rows = lake.read("meter").to_pylist()
        found = [
            (row["meter_id"], row["ts_us"], int(row["value_n"]), int(row["resolution_n"]))
            for row in rows
        ]
        assert {(row["node"], row["source"]) for row in rows} <= {("dcim", "csv")}
        return result, sorted(found)

    return load


def test_one_line_per_meter(load):
    result, rows = load(
        GERMAN,
        "Zeit;Zähler;Wert;Status\n"
        "15.01.2026 09:15;feed-1;1.234.567,5;ok\n"
        "15.01.2026 09:15;feed-2;7;ok\n"
        "15.01.2026 09:30;feed-1;1.234.600;ok\n"
        "15.01.2026 09:30;feed-2;-;off\n",
    )
    quarter, half = us("2026-01-15T08:15"), us("2026-01-15T08:30")
    assert rows == [
        ("feed-1", quarter, 1_234_567_500_000_000, N // 10),
        ("feed-1", half, 1_234_600 * N, N // 10),
        ("feed-2", quarter, 7 * N, N),
    ]
    assert (result.devices, result.first_us, result.last_us) == (2, quarter, half)


def test_one_column_per_meter_and_times_with_offsets(load):
    _, rows = load(
        'time = "timestamp"\ntz = "Europe/Berlin"\n'
        '[columns]\n"Feed 1 (kWh)" = "feed-1"\nT = "air"\n',
        "timestamp,Feed 1 (kWh),T,other\n"
        "2026-10-25T02:30:00+02:00,1e3,-4.25,x\n"
        "2026-10-25T02:30:00+01:00,,-4.5,x\n"
        "1792906200,1001.5,n/a,x\n"
        "2026-10-25 05:00:00.5,1002,NaN,x\n",
    )
    assert rows == [
        ("air", us("2026-10-25T00:30"), -4_250_000_000, N // 100),
        ("air", us("2026-10-25T01:30"), -4_500_000_000, N // 100),
        ("feed-1", us("2026-10-25T00:30"), 1_000 * N, N // 10),
        ("feed-1", us("2026-10-25T04:00") + 500_000, 1_002 * N, N // 10),
        ("feed-1", 1_792_906_200_000_000, 1_001_500_000_000, N // 10),
    ]


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", None])
def test_a_local_time_that_came_twice_or_never_names_its_line(load, lake, form):
    more = f"format = {form!r}\n" if form else ""
    for day, words in (("25.10.2026", "came twice"), ("29.03.2026", "was skipped")):
        written = day if form else "-".join(reversed(day.split(".")))
        with pytest.raises(
            UserError, match=rf"export\.csv: line 3: time '{written} 02:30' {words}"
        ):
            load(
                f'{LONG}tz = "Europe/Berlin"\n{more}',
                f"Zeit,Zähler,Wert\n{written} 01:30,a,1\n{written} 02:30,a,2\n",
            )
    assert lake.read("meter").num_rows == 0


def test_a_column_of_summer_time_decides(load):
    text = (
        "Zeit;Zähler;Wert;DST\n25.10.2026 01:45;a;1;\n25.10.2026 02:30;a;2;S\n"
        "25.10.2026 02:30;a;3;W\n25.10.2026 03:15;a;4;W\n"
    )
    _, rows = load(GERMAN + SUMMER, text)
    assert [(ts_us, value_n // N) for _, ts_us, value_n, _ in rows] == [
        (us("2026-10-24T23:45"), 1),
        (us("2026-10-25T02:30", "Europe/Berlin"), 2),
        (us("2026-10-25T02:30", "Europe/Berlin", 1), 3),
        (us("2026-10-25T02:15"), 4),
    ]
    with pytest.raises(UserError, match=r"line 3: .* came twice .* and '\?' says neither"):
        load(GERMAN + SUMMER, text.replace(";2;S", ";2;?"))


@pytest.mark.parametrize(
    ("offset", "hours"),
    [("+02:00", 2), ("+0130", 1.5), ("2", 2), ("-5", -5), ("Z", 0), ("UTC", 0)],
)
def test_a_column_of_offsets_decides(load, offset, hours):
    _, [row] = load(
        GERMAN + 'offset = "UTC"\n', f"Zeit;Zähler;Wert;UTC\n25.10.2026 02:30;a;2;{offset}\n"
    )
    assert row[1] == us("2026-10-25T02:30") - round(hours * 3_600_000_000)


def test_the_same_file_again_and_a_longer_one_add_only_what_is_new(load, lake):
    head = "Zeit;Zähler;Wert\n15.01.2026 09:15;a;5\n15.01.2026 09:15;a;5\n"
    result, _ = load(GERMAN, head)
    assert (result.rows, result.written) == ({"meter": 1}, {"meter": 1})
    before = snapshot(lake)
    assert load(GERMAN, head)[0].written == {}
    assert snapshot(lake) == before
    # A finer number shows that the meter's step is finer; what is there stays.
    result, rows = load(GERMAN, head + "15.01.2026 09:30;a;5,25\n15.01.2026 09:4")
    assert result.written == {"meter": 1}
    assert [row[2:] for row in rows] == [(5 * N, N), (5_250_000_000, N // 100)]
    assert "skipped the last line: it has no end, and may be cut off" in result.notes


@pytest.mark.parametrize(
    ("map_text", "text", "words"),
    [
        (GERMAN, "15.01.2026 09:15;a;1.5", ["line 2", "'1.5' is no number"]),
        (GERMAN, "15.01.2026 09:15;a;12.3456,1", ["line 2", "is no number"]),
        (LONG, "2026-01-15 09:15;a;1,5", ["'1,5' is no number", "decimal or thousands = ','"]),
        (LONG, "2026-01-15 09:15;a;0x10", ["'0x10' is no number"]),
        (LONG, "2026-01-15 09:15;a;inf", ["'inf' is no number"]),
        (LONG, f"2026-01-15 09:15;a;1{'0' * 29}", ["too large"]),
        (LONG, f"2026-01-15 09:15;a;{'1' * 101}", ["is no number"]),
        (LONG, "15.01.2026 09:15;a;1", ["line 2", "cannot read time '15.01.2026 09:15'"]),
        (GERMAN, "2026-01-15 09:15;a;1", ["line 2", "expected format '%d.%m.%Y %H:%M'"]),
        (LONG, "2026-01-15 09:15;;1", ["line 2", "has no name in column 'Zähler'"]),
        (LONG, "2026-01-15 09:15;a", ["line 2", "2 values", "expected 3"]),
        (LONG, TWO, ["line 3: 'a' has another value at the time of line 2"]),
        (LONG.replace("Wert", "Wrt"), "", ["has no column 'Wrt'", "Zeit, Zähler, Wert"]),
        (LONG + 'tz = "Berlin"\n', "", ["unknown time zone 'Berlin'"]),
        (LONG + 'offset = "Wert"\n', "2026-01-15 09:15;a;99", ["line 2", "offset '99'"]),
        (LONG + "zone = 1\n", "", ["map.toml", "unknown key 'zone' = 1", "allowed: time, format"]),
        (LONG + 'thousands = "."\n', "", ["decimal and thousands are both '.'"]),
        (GERMAN + 'offset = "a"\n' + SUMMER, "", ["offset and summer"]),
        ('time = "Zeit"\nmeter = "Zähler"\n', "", ["expected either meter and value"]),
        ('time = "Zeit"\n', "", ["expected either meter and value"]),
        (LONG + '[columns]\nWert = "a"\n', "", ["expected either meter and value"]),
        ('time = "Zeit"\n[columns]\nWert = "a"\nZähler = "a"\n', "", ["'a' is used twice"]),
        ('time = "Zeit"\n[columns]\nWert = " "\n', "", ["a meter id is empty"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_nothing_is_written(load, lake, map_text, text, words):
    # Keys such as Zähler need quotes in TOML.
    with pytest.raises(UserError) as caught:
        load(map_text.replace("\nZähler =", '\n"Zähler" ='), f"Zeit;Zähler;Wert\n{text}\n")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert lake.read("meter").num_rows == 0


def test_a_value_that_differs_from_the_lakes_is_kept_and_told(load):
    text = "Zeit;Zähler;Wert\n15.01.2026 09:15;a;{}\n15.01.2026 09:30;a;7\n"
    assert load(GERMAN, text.format(5))[0].warnings == []
    result, rows = load(GERMAN, text.format(6))
    assert result.warnings == [
        "the lake has other values at 1 of these times, such as 'a' in line 2: both are kept"
    ]
    assert [row[2] // N for row in rows] == [5, 6, 7]


def test_the_map_of_the_page_works(load):
    page = (Path(__file__).parents[4] / "docs" / "meters.md").read_text("utf-8")
    texts = re.findall(r"```toml\n(.*?)```", page, re.S)
    [text] = [text for text in texts if text.startswith("# map.toml")]
    _, [row] = load(text, "Zeit;Zähler;Wert\n15.01.2026 09:15;a;1.234,5\n")
    assert row == ("a", us("2026-01-15T08:15"), 1_234_500_000_000, N // 10)


def test_names_choose_meters_and_rename_them(load):
    result, rows = load(
        LONG + '[names]\n"F 1" = "feed-1"\n',
        "Zeit,Zähler,Wert\n2026-01-15 09:15,F 1,1\n2026-01-15 09:15,F 2,broken\n",
    )
    assert [row[0] for row in rows] == ["feed-1"]
    assert result.notes == ["skipped meters that names does not have: F 2"]


def test_spaces_between_thousands_and_years_that_are_no_date(load):
    result, rows = load(
        LONG + 'thousands = " "\n',
        "Zeit,Zähler,Wert\n2026-01-15 09:15,a,12\u00a0345.5\n1970-01-01 00:00,a,1\n",
    )
    assert [row[2] for row in rows] == [12_345_500_000_000]
    assert result.left_out.count == 1


def test_the_command(tmp_path, lake):
    (tmp_path / "map.toml").write_text(LONG)
    (tmp_path / "e.csv").write_text("Zeit,Zähler,Wert\n2026-01-15 09:15,a,1\n")
    words = ["import", "meters", str(tmp_path / "e.csv"), "--map", str(tmp_path / "map.toml")]
    words += ["--node", "dcim", "--lake", str(lake.root)]
    done = CliRunner().invoke(cli.app, words)
    assert done.output.splitlines() == [
        "read 1 reading of 1 meter, 2026-01-15 09:15:00 to 2026-01-15 09:15:00 UTC",
        "wrote 1 meter rows in 1 file",
    ]
    assert "nothing changed" in CliRunner().invoke(cli.app, words).output
