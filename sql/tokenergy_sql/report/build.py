"""Writes the report: one HTML page that needs nothing beside itself.

In: an indexed lake. Out: a file with its style, its data and the Vega runtime inside, written aside
and renamed. It holds no time of its making: the same lake gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.view import page_view

_SCRIPTS = ("data", "charts", "jobs", "job", "page")
"""Parts of the page's script, those that others need first."""


def build_report(
    lake: Lake,
    out: Path,
    *,
    title: str | None = None,
    findings: Sequence[Finding] | None = None,
) -> Path:
    """Write the report of a lake.

    Args:
        lake: an indexed lake.
        out: the HTML file to write; what is there is replaced.
        title: heading of the page; a plain one if None.
        findings: what the checks found, if they were run already; they are run if None.

    Returns:
        The path of the file.

    Raises:
        UserError: the lake has no `job_index`, or the file cannot be written.
    """
    facts = read_facts(lake)
    found = run_checks(lake) if findings is None else findings
    _write(render(page_view(facts, found, title)), out)
    return out


def render(view: Mapping[str, Any]) -> str:
    """Return the page for the values of `page_view`."""
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
    # These three are the project's own and its dependency's, never a lake's.
    own = {
        "style": Markup(_text("style.css")),  # noqa: S704 - shipped with the package
        "script": Markup(_script()),  # noqa: S704 - shipped with the package
        "vega": Markup(_vega()),  # noqa: S704 - shipped with vl-convert
    }
    return environment.get_template("templates/page.html.j2").render(**own, **view)


def _script() -> str:
    """Return the page's own script: its parts in one scope that nothing else sees."""
    parts = "\n".join(_text(f"scripts/{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();'


@cache
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Inside a string or a regular expression `<\/` is the same as `</`.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _text(name: str) -> str:
    return (resources.files("tokenergy_sql.report") / name).read_text("utf-8")


def _write(page: str, out: Path) -> None:
    aside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(page, "utf-8")
        aside.replace(out)
    except OSError as error:
        raise UserError(f"report {out}: cannot be written: {error.strerror or error}") from None
    finally:
        if aside.exists():
            aside.unlink()
