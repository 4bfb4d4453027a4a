"""Cohorts and features that others made, as cohort folders: cBioPortal studies, CLAM and TRIDENT features."""
