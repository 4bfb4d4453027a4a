"""Studies in one process: cohorts split by hospital, arms, protocols and reports."""
