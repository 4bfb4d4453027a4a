"""How well features, embeddings and predictions name the hospital, and what takes that signature out."""

from simulations.site_signature.correct import CORRECTIONS, fit_correction
from simulations.site_signature.meter import Named, name_hospital

__all__ = ["CORRECTIONS", "Named", "fit_correction", "name_hospital"]
