"""What a simulation shows of itself: report.html and a table on the terminal, both from the content of metrics.json."""

from simulations.report.page import render_report, write_report
from simulations.report.terminal import print_summary

__all__ = ["print_summary", "render_report", "write_report"]
