"""The configuration: what is wrong is one line: file, key, value, what is allowed."""

import re
import tomllib

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict, load_toml, take_notices
from tokenergy_collectors.registry import SOURCES
from tokenergy_collectors.settings import example
from tokenergy_collectors.settings.config import Config, Disk, keys_of
from tokenergy_collectors.sources.nvml.settings import Place
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_collectors.upload.settings import Upload

GOOD = """
lake = "/data/lake"
rate_hz = 10
[place]
rack = "r1"
[[tokens]]
source_id = "a"
url = "http://127.0.0.1:8000/metrics"
job_id = "j"
[[tokens]]
source_id = "b"
url = "https://host/metrics"
job_id = "j"
every_s = 1
"""


@pytest.fixture
def load(tmp_path):
    def load(text, **overrides):
        path = tmp_path / "collect.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_toml(path, Config, overrides)

    return load


def test_a_file_with_sources_is_taken(load):
    config = load(GOOD)
    assert [(s.source_id, s.every_s) for s in config.tokens] == [("a", 5.0), ("b", 1.0)]
    assert (config.rate_hz, config.place.rack) == (10.0, "r1")
    assert config.node
    assert load(GOOD, node="other", lake=None).node == "other"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["lake", "required"]),
        ("lake = ''", ["lake", "at least 1 character"]),
        ("lake = 5", ["lake", "string", "5"]),
        ("lake = 'x'\nrate = 5", ["unknown key 'rate' = 5", "allowed: lake, node, roll_s"]),
        ("lake = 'x'\nrate_hz = 100", ["rate_hz", "less than or equal to 50", "100"]),
        ("lake = 'x'\nrate_hz = 0", ["rate_hz", "greater than or equal to 0.1", "0"]),
        ("lake = 'x'\nrate_hz = nan", ["rate_hz", "finite", "nan"]),
        ("lake = 'x'\nrate_hz = '10'", ["rate_hz", "number", "'10'"]),
        ("lake = 'x'\nrate_hz = true", ["rate_hz", "number", "True"]),
        ("lake = 'x'\nlog_format = 'xml'", ["log_format", "'text' or 'json'", "'xml'"]),
        ("lake = 'x'\n[place]\nrow = 1", ["place", "unknown key 'row' = 1", "site, hall"]),
        ("lake = 'x'\ntokens = 5", ["tokens", "5"]),
        (GOOD.replace("https:", "file:"), ["tokens.1.url", "^https?://", "file://host"]),
        (GOOD.replace("every_s = 1", "every_s = 0"), ["tokens.1.every_s", "0.1"]),
        (GOOD.replace("every_s = 1", "every_s = '1'"), ["tokens.1.every_s", "number", "'1'"]),
        (GOOD.replace("every_s", "evry_s"), ["tokens.1", "unknown key 'evry_s' = 1", "every_s"]),
        (GOOD.replace('"b"', '"a"'), ["tokens", "'a' is used twice"]),
        ("lake = 'x'\n[upload]\nkey = 's'", ["upload", "unknown key 'key'", "allowed: to, "]),
        ("lake = 'x'\n[upload]\nto = 's3://k:p@b'", ["upload.to", "holds credentials"]),
        ("lake = 'x'\n[upload]\nkeep_local_s = -1", ["upload.keep_local_s", "equal to 0", "-1"]),
        ("lake = 'x'\n[disk]\nlimit_mib = 0", ["disk.limit_mib", "equal to 1", "0"]),
        ("lake = 'x'\n[disk]\nkeep_days = 0", ["disk.keep_days", "greater than 0", "0"]),
        ("lake = ", ["not a TOML file"]),
        ("tokens = [{}]\n[[tokens]]\n", ["line 2", "two ways", "[[key]]: keep one"]),
        (b"lake = '\xff'", ["not a TOML file"]),
        ("lake = 'x'\nbogus = '''a\nb" + "c" * 500 + "'''", ["unknown key 'bogus'", "..."]),
    ],
)
def test_what_is_wrong_is_one_line(load, text, words):
    with pytest.raises(UserError) as caught:
        load(text)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    for word in ["collect.toml", *words]:
        assert word in line


def test_several_faults_are_counted(load):
    with pytest.raises(UserError, match=r"\(and 1 more\)"):
        load("lake = ''\nrate_hz = 1000")


def test_a_missing_file_and_options_alone(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml: No such file"):
        load_toml(tmp_path / "none.toml", Config)
    with pytest.raises(UserError, match=r"options: lake: Field required"):
        load_toml(None, Config)
    assert load_toml(None, Config, {"lake": "x"}).lake == "x"


def models(model=Config):
    """The model and those of its tables."""
    yield model
    for field in model.model_fields.values():
        if found := example._table(field):
            yield from models(found[0])


def uncommented():
    """The example with every key that stands behind a `#` put to use."""
    return "\n".join(re.sub(r"^#(?! )", "", line) for line in example.example().splitlines())


def test_the_example_is_the_defaults(load):
    given = tomllib.loads(example.example())
    assert load(example.example()) == Config(lake=given["lake"])


def test_the_example_holds_every_key_and_every_key_is_described(load):
    given = tomllib.loads(uncommented())
    assert set(given) == set(Config.model_fields)
    for name, model in (("place", Place), ("upload", Upload), ("disk", Disk)):
        assert set(given[name]) == set(model.model_fields)
    assert [set(table) for table in given["tokens"]] == [set(TokenSource.model_fields)]
    load(uncommented())
    for model in models():
        for name, field in model.model_fields.items():
            assert (field.description or "").endswith("."), f"{model.__name__}.{name}"
            assert field.examples or field.default is not None, f"{model.__name__}.{name}"


def test_the_example_tells_bounds_choices_and_defaults():
    text = example.example()
    for words in (
        "20 if no period was learned.\n",
        "# No default; a number, at least 0.1, at most 50.\n#rate_hz = 20.0",
        "# Default 1.0; a number, at least 1, at most 60.\ncounter_every_s = 1.0",
        '# Default "text"; "text" or "json".\nlog_format = "text"\n',
        "# Required; text.\nlake = ",
        '# No default; text.\n#jobs_file = "/etc/tokenergy/jobs.csv"\n',
        '# No default; text.\n#node = "gpu-01"\n',
        "# Default 2.0; a number, above 0, at most 60.\n#timeout_s = 2.0\n",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("node", ["n1", 'a"b\\c', "\u00fc\U0001f600", "\x7f\x00\n\t", "#'"])
def test_what_is_in_effect_reads_back_as_the_same(load, node):
    config = load(GOOD, node=node)
    assert load(example.effective(config)) == config


def test_an_old_name_of_a_key_is_taken_with_a_warning(load):
    take_notices()
    config = load("lake = 'x'\nwal_limit_mb = 7\n[disk]\nlimit_mb = 5\n")
    assert (config.wal_limit_mib, config.disk.limit_mib) == (7, 5)
    load("lake = 'x'\nwal_limit_mb = 7\n")  # a second time says nothing new
    assert take_notices() == [
        "the key wal_limit_mb is now called wal_limit_mib; rename it in your configuration",
        "the key limit_mb is now called limit_mib; rename it in your configuration",
    ]
    assert take_notices() == []


def test_an_old_and_a_new_name_of_one_key_are_refused(load):
    with pytest.raises(UserError, match="unknown key 'wal_limit_mb' = 7; allowed: "):
        load("lake = 'x'\nwal_limit_mb = 7\nwal_limit_mib = 8\n")


def test_a_token_address_with_a_password_is_refused_and_not_repeated(load):
    with pytest.raises(UserError, match=r"tokens\.0\.url: .*holds credentials") as caught:
        load(
            "lake = 'x'\n[[tokens]]\nsource_id = 'a'\njob_id = 'j'\n"
            "url = 'http://me:secret@host/metrics'\n"
        )
    assert "secret" not in str(caught.value)


def test_every_source_brings_its_keys():
    for source in SOURCES.values():
        assert set(source.keys.model_fields) <= set(Config.model_fields)
        assert keys_of(Config(lake="x"), source.keys).lake == "x"
    with pytest.raises(TypeError, match="the configuration has no Place"):
        keys_of(Config(lake="x"), Place)


def test_no_source_replaces_a_check_of_another_one():
    """All keys become one class, in which a name belongs to one method."""
    owner = {}
    for source in SOURCES.values():
        keys = source.keys
        found = keys.__pydantic_decorators__
        for name in (*found.field_validators, *found.model_validators):
            if name not in Strict.__pydantic_decorators__.model_validators:
                assert owner.setdefault(name, keys) is keys, f"{name}: {owner[name]} and {keys}"
    assert len(owner) >= 3
