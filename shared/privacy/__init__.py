"""Differential privacy of patients: what is spent, what is refused, and what can be told of it."""
