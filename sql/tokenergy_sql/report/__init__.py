"""The report: one self-contained HTML page about a lake's jobs, their J/token and the ledger."""

from tokenergy_sql.report.build import build_report
from tokenergy_sql.report.window import last_hours

__all__ = ["build_report", "last_hours"]
