"""Ablations: one study with one setting changed at a time, every row beside the study as it is."""
