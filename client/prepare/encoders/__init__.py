"""Frozen image encoders: which there are, where their weights come from, and how they run on this machine."""
