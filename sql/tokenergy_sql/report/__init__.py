"""The report: one self-contained HTML page about a lake's jobs, their J/token and the ledger."""

from tokenergy_sql.report.build import build_report

__all__ = ["build_report"]
