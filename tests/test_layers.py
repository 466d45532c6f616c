"""The packages are layered: no circle of imports, and every contract of pyproject.toml holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs import layers

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", layers.packages(), ids=lambda package: package.name)
def test_no_circle_of_imports(package):
    assert package.modules > 40
    assert package.circles == []
    assert package.room_circles == []
    assert not package.upwards
    assert package.unplaced == []


def test_every_contract_holds():
    command = Path(sys.executable).with_name("lint-imports")
    words = [command, "--no-cache", "--config", ROOT / "pyproject.toml"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_circles_are_found():
    ties = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"f", "a"}}
    assert layers.find_circles(ties) == [["a", "b", "c"], ["d", "e"]]
    assert layers.find_circles(ties | {"c": {"d"}, "e": set()}) == []


def test_upwards_and_across_rooms_that_are_apart(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[[tool.importlinter.contracts]]\n"
        "containers = ['package']\n"
        "layers = ['cli', '(top) | check', 'read : write', 'base']\n"
        "exhaustive_ignores = ['__main__']\n"
    )
    order = layers.read_layers(tmp_path / "pyproject.toml")["package"]
    assert [order.rank[room] for room in ("base", "write", "top", "cli", "__main__")] == [*range(5)]
    forbidden = [("base", "cli"), ("read", "top"), ("top", "check"), ("cli", "__main__")]
    assert all(map(order.forbid, forbidden))
    allowed = [("cli", "base"), ("read", "write"), ("base", "elsewhere"), ("elsewhere", "cli")]
    assert not any(map(order.forbid, allowed))


def test_another_checkout_is_counted(tmp_path):
    modules = {
        "collectors/tokenergy_collectors/base/one.py": "from tokenergy_collectors.base import two",
        "collectors/tokenergy_collectors/base/two.py": "import tokenergy_collectors.base.one",
        "collectors/tokenergy_collectors/lake/paths.py": "from tokenergy_collectors import cli",
        "collectors/tokenergy_collectors/cli.py": "from tokenergy_collectors.base import one, two",
        "transforms/tokenergy_transforms/maths.py": "",
        "sql/tokenergy_sql/odd.py": "",
    }
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for folder in (path.parent, tmp_path / "/".join(Path(name).parts[:2])):
            (folder / "__init__.py").touch()
    words = [sys.executable, "-m", "docs.layers", "--root", tmp_path]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["tokenergy_collectors", "2", "1", "7", "2", "3", "1", "1", "0"],
        ["tokenergy_transforms", "0", "1", "2", "0", "0", "0", "0", "0"],
        ["tokenergy_sql", "0", "1", "2", "0", "0", "0", "0", "0"],
    ]
    assert lines[4:] == [
        "upwards: tokenergy_collectors.lake -> cli, import lines: 1",
        "circle of modules: tokenergy_collectors.base.one, tokenergy_collectors.base.two",
        "in no layer of tokenergy_sql: odd",
    ]
