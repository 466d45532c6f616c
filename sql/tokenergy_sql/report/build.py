"""Writes the report: one HTML page that needs no other file.

In: an indexed lake. Out: a file with its style, its data and the Vega runtime inside. It does not
say when it was made, so the same lake gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.output import require_writable, write_text
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, hourly_names, run_checks
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.pagevalues import page_values

_SCRIPTS = ("data", "charts", "jobs", "job", "page")
"""Parts of the page's script, in the order in which they depend on each other."""


def build_report(
    lake: Lake,
    out: Path,
    *,
    title: str | None = None,
    findings: Sequence[Finding] | None = None,
    hours: range | None = None,
    check_hours: Sequence[int] | None = None,
) -> Path:
    """Write the report of a lake, or of some of its hours.

    Args:
        lake: an indexed lake.
        out: the HTML file to write; see `base.output.writing`.
        title: heading of the page; "TokEnergy report" if None.
        findings: what the checks found; the checks are run if None: of some hours only those that
            examine one hour at a time.
        hours: starts of the hours that the report covers, microseconds UTC, one after the other;
            the whole lake if None. See `window.last_hours`.
        check_hours: with `hours`, those of them that the checks examine; all of them if None. The
            page says how many, or that no check was run.

    Returns:
        The path of the file.

    Raises:
        UserError: the lake has no `job_index` or nothing of the hours, or the file cannot be
            written.
        OutputError: the reader of a FIFO has gone, or standard output is full.
    """
    require_writable(out)
    facts = read_facts(lake, hours)
    checked: Sequence[int] | None = None
    if findings is None and hours is None:
        findings = run_checks(lake)
    elif findings is None:
        checked = [hour for hour in hours or () if check_hours is None or hour in check_hours]
        findings = run_checks(lake, checked, hourly_names()) if checked else []
    write_text(render(page_values(facts, findings, title, checked)), out)
    return out


def render(values: Mapping[str, Any]) -> str:
    """Return the page for the values of `page_values`."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    # Only these three are not escaped: they come with the package, never from a lake.
    own = {
        "style": Markup(_text("style.css")),  # noqa: S704 - shipped with the package
        "script": Markup(_script()),  # noqa: S704 - shipped with the package
        "vega": Markup(_vega()),  # noqa: S704 - shipped with vl-convert
    }
    return environment.get_template("templates/page.html.j2").render(**own, **values)


def _script() -> str:
    """Return the page's own script: its parts in one scope that hides them from other scripts."""
    parts = "\n".join(_text(f"scripts/{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();'


@cache
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that can be put inside a page."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Inside a string or a regular expression `<\/` is the same as `</`.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _text(name: str) -> str:
    return (resources.files("tokenergy_sql.report") / name).read_text("utf-8")
