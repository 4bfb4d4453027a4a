"""How much a model suffers when hospitals differ more, err or fail: one stress a file, and what runs them."""

from simulations.stresses.options import Options
from simulations.stresses.registry import CURVES
from simulations.stresses.runner import stress_curves

__all__ = ["CURVES", "Options", "stress_curves"]
