"""Study files that mmfed ships: `--study NAME` finds them here."""
