"""The kind of cohort that `--kind features` writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.site import ImportedFeatures
from simulations.encoder_file import ENCODER_FILE, encoder_toml
from simulations.synthetic.features.bags import ENCODER, ENCODER_SHA256, BagJob
from simulations.synthetic.features.genes import GENES, draw_batch_shift, draw_genes
from simulations.synthetic.features.hospitals import FEATURE_HOSPITALS, FeatureHospital
from simulations.synthetic.features.patients import FeaturePatient, draw_feature_patients
from simulations.synthetic.kinds import Kind
from simulations.synthetic.tables import write_packed, write_rows

__all__ = ["FEATURES"]


def _begin(folder: Path, hospitals: Sequence[FeatureHospital], seed: int) -> list[BagJob]:
    bags = folder / "features" / "slides"
    bags.mkdir(parents=True, exist_ok=True)
    made_by = ImportedFeatures(encoder=ENCODER, encoder_sha256=ENCODER_SHA256)
    (folder / ENCODER_FILE).write_text(encoder_toml(made_by), encoding="utf-8")
    patients = [patient for hospital in hospitals for patient in draw_feature_patients(hospital, seed)]
    write_rows(folder / "clinical.tsv", "\t", _clinical(patients))
    write_rows(folder / "slides.tsv", "\t", _slides(patients))
    write_packed(folder / "expression.tsv.gz", _expression(patients, seed))
    return [BagJob(bags / f"{_slide_id(patient)}.h5", patient, seed) for patient in patients if patient.has_slide]


def _slide_id(patient: FeaturePatient) -> str:
    return f"{patient.case_id}-S1"


def _clinical(patients: Sequence[FeaturePatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "site", "age_at_diagnosis", "sex", "os_months", "os_event", "relapse"
    for p in patients:
        yield p.case_id, p.hospital, p.age, p.sex, p.os_months, p.os_event, p.relapse


def _slides(patients: Sequence[FeaturePatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "slide_id"
    for patient in patients:
        if patient.has_slide:
            yield patient.case_id, _slide_id(patient)


def _expression(patients: Sequence[FeaturePatient], seed: int) -> Iterable[Sequence[object]]:
    measured = [patient for patient in patients if patient.has_expression]
    shifts = {hospital: draw_batch_shift(hospital, seed) for hospital in {p.hospital for p in measured}}
    columns = [draw_genes(patient, shifts[patient.hospital], seed) for patient in measured]
    yield "gene_symbol", *(patient.case_id for patient in measured)
    for row, gene in enumerate(GENES):
        yield gene, *(f"{column[row]:.4f}" for column in columns)


FEATURES = Kind(
    name="features",
    cohort="features",
    version=1,
    modalities=("slides", "expression", "clinical"),
    hospitals=FEATURE_HOSPITALS,
    begin=_begin,
)
"""Eight hospitals of equal size, none of them unseen."""
