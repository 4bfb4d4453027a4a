"""Finished runs side by side: what differs in them, what they reach, and their differences on the same patients."""
