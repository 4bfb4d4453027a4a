"""From a hospital's raw files to its feature store: tables, slides, and the check before a training."""

from client.prepare.preparation import prepare, store_folder
from client.prepare.report import PrepareReport, ReportRow
from client.prepare.settings import PrepareSettings
from client.prepare.site_check import CheckReport, check

__all__ = ["CheckReport", "PrepareReport", "PrepareSettings", "ReportRow", "check", "prepare", "store_folder"]
