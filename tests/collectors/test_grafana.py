"""The Grafana dashboard asks only for what a collector's endpoint serves, and is well formed."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.support.live import Shown, show_meters
from tokenergy_collectors.live.catalogue import FAMILIES, UPLOADS

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "tokenergy.json"
OWN_LABELS = {"instance", "job"}
"""Labels that Prometheus adds."""


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text("utf-8"))


def expressions(dashboard):
    """Return every PromQL text: of the panels and of the variables."""
    panels = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    asked = [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    return panels + asked


def metrics(expression):
    """Return each metric of an expression with the labels that it is narrowed by."""
    found = re.findall(r"\b(tokenergy_\w+)(?:\{([^}]*)\})?", expression)
    return [(name, set(re.findall(r"(\w+)\s*(?:=|!)", matchers))) for name, matchers in found]


def test_every_metric_is_served(dashboard, tmp_path):
    looks = []
    run = Shown(tmp_path, roll_s=60.0)

    def look(_node, _metrics):
        show_meters(run.view)
        looks.append(run.look())

    run.at(130, look)
    run.run(140)
    served = {sample.name for sample in looks[0].samples}
    # Nothing is uploaded here; those families are the uploader's.
    served |= {family.name for family in UPLOADS.values()}
    asked = {name for text in expressions(dashboard) for name, _ in metrics(text)}
    assert len(asked) > 20
    assert asked <= served


def test_every_label_is_one_of_its_metric(dashboard):
    labels = {family.name: {*family.labels} | OWN_LABELS for family in FAMILIES}
    for text in expressions(dashboard):
        named = [(name, used) for name, used in metrics(text)]
        for name, used in named:
            assert used <= labels[name], (text, name)
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", text)
        for label in (label.strip() for group in grouped for label in group.split(",")):
            assert all(label in labels[name] for name, _ in named), (text, label)


def test_legends_use_labels_that_are_there(dashboard):
    labels = {family.name: {*family.labels} | OWN_LABELS for family in FAMILIES}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            name, _ = metrics(target["expr"])[-1]
            known = labels[name]
            if grouped := re.search(r"\bby \(([^)]*)\)", target["expr"]):
                known = {label.strip() for label in grouped[1].split(",")}
            assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= known


def test_counters_are_asked_for_their_growth(dashboard):
    for text in expressions(dashboard):
        for name, _ in metrics(text):
            if name.endswith("_total"):
                assert re.search(rf"\b(?:rate|increase)\({name}\b", text), text


def test_panels_have_places_of_their_own(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for a, b in combinations([panel["gridPos"] for panel in panels], 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)
    assert max(p["gridPos"]["x"] + p["gridPos"]["w"] for p in panels) == 24


def test_the_data_source_is_chosen_by_the_reader(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert "http" not in DASHBOARD.read_text("utf-8")
