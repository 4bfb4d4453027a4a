"""Patients of one hospital: their tables, feature store, splits and batches."""

MODALITIES = ("slides", "expression", "blood", "imaging", "clinical")
"""Every modality, in the order that presence masks use everywhere."""
