"""The packages of the `analysis` extra, which the base install of the collector leaves out."""

from __future__ import annotations

from importlib.util import find_spec

from tokenergy_collectors.base.errors import UserError

ANALYSIS_PACKAGES = (
    *("altair", "duckdb", "highspy", "jinja2", "numba", "psychrolib", "rainflow", "scipy"),
    "vl_convert",
)


def require_analysis_packages() -> None:
    """Check that the extra is installed.

    Raises:
        UserError: a package is missing; the message says how to install it.
    """
    for package in ANALYSIS_PACKAGES:
        if find_spec(package) is None:
            raise not_installed(package)


def not_installed(package: str) -> UserError:
    """Return the error for a missing package of the extra."""
    return UserError(f"{package} is not installed: pip install 'tokenergy[analysis]'")
