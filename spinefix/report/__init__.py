"""Tables and the HTML report."""

from spinefix.report.html import write_report
from spinefix.report.tables import comparison_tables

__all__ = ["comparison_tables", "write_report"]
