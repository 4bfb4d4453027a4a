"""How updates become the next global model: one rule a file, applied to every branch by itself (per_branch.py)."""
