"""Every stress by its name; another one is a file of its own and a line here."""

from simulations.stresses.curve import Curve
from simulations.stresses.expression_batch import BATCH
from simulations.stresses.label_noise import LABELS
from simulations.stresses.missing_modality import MISSING
from simulations.stresses.poisoned_site import POISON, POISON_LABELS
from simulations.stresses.scanner_blur import BLUR
from simulations.stresses.site_dropout import DROPOUT
from simulations.stresses.stain_shift import STAIN
from simulations.stresses.unit_mistakes import UNITS

__all__ = ["CURVES", "DEFAULT"]

CURVES: dict[str, Curve] = {
    curve.name: curve for curve in (STAIN, BLUR, BATCH, UNITS, LABELS, MISSING, DROPOUT, POISON, POISON_LABELS)
}
DEFAULT = ("stain", "blur", "batch", "units", "labels", "missing", "dropout", "poison")
