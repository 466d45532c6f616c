"""docs/emulator.md names every key that a profile may have, every shipped board and profile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.profile.catalogue import SENSORS, shipped
from tokenergy_collectors.emulate.profile.hardware import BoardSpec, NodeSpec
from tokenergy_collectors.emulate.profile.jobs import JobSpec, StrayJobSpec
from tokenergy_collectors.emulate.profile.profile import SHIPPED, Profile
from tokenergy_collectors.emulate.workloads.inference import InferenceSpec
from tokenergy_collectors.emulate.workloads.periodic import PeriodicSpec
from tokenergy_collectors.emulate.workloads.reservation import ReservationSpec
from tokenergy_collectors.emulate.workloads.stray import StraySpec
from tokenergy_collectors.emulate.workloads.training import TrainingSpec

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "emulator.md").read_text("utf-8")
SECTIONS = {
    Profile: "## Writing a profile",
    NodeSpec: "### `[nodes.NAME]`",
    BoardSpec: "### `[boards.NAME]`",
    JobSpec: "### `[[jobs]]`",
    StrayJobSpec: "### `[[jobs]]`",
    TrainingSpec: '**`type = "training"`**',
    PeriodicSpec: '**`type = "periodic"`**',
    InferenceSpec: '**`type = "inference"`**',
    ReservationSpec: '**`type = "reservation"`**',
    StraySpec: '**`type = "stray"`**',
}


def section(heading: str) -> str:
    """The page from a heading to the next of its kind."""
    assert heading in PAGE
    rest = PAGE.split(heading, 1)[1]
    end = r"\n## " if heading.startswith("## ") else r"\n##|\n\*\*`type"
    return re.split(end, rest, maxsplit=1)[0]


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_key_is_on_the_page(model: type[Strict]) -> None:
    text = section(SECTIONS[model])
    for key in model.model_fields:
        assert re.search(rf"\b{key}\b", text) or key == "type", key


@pytest.mark.parametrize("name", [*SHIPPED, *shipped(), *SENSORS])
def test_what_ships_is_on_the_page(name: str) -> None:
    assert name in PAGE


def test_the_example_is_a_profile(tmp_path: Path) -> None:
    from tokenergy_collectors.emulate.profile.profile import load_profile

    path = tmp_path / "mine.toml"
    path.write_text(PAGE.split("```toml\n", 1)[1].split("```", 1)[0])
    profile = load_profile(path)
    assert len(profile.nodes) == 17
    assert [job.id for job in profile.jobs][:3] == ["train", "swing-gpu-08", "swing-gpu-09"]
    assert profile.boards["slow"].unsupported == ["instant"]


def test_the_page_can_be_found() -> None:
    linked = [
        page
        for page in ("architecture.md", "collecting.md")
        if "emulator.md" in (DOCS / page).read_text()
    ]
    assert linked == ["architecture.md", "collecting.md"]
