"""Three small hospitals with real tables, and a study they can train in seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest

from shared.cohort.blood import blood_panel
from shared.cohort.genes import packaged_panel, vocabulary

STUDY = """
schema = 1
name = "loopback"
[governance]
purpose = "test of the deployment"
controller = "Example University Hospital"
contact = "office@example.org"
ethics_reference = "none, generated numbers"
retention = "until the test ends"
[task]
kind = "classification"
column = "grade"
classes = ["G2", "G3", "G4"]
[model]
architecture = "linear"
[modalities.expression]
genes = "panel"
[modalities.blood]
[modalities.clinical]
[training]
rounds = 2
batch_size = 8
[federation]
deadline_s = 600
"""


def write_hospital(folder: Path, patients: int, seed: int) -> None:
    """clinical.tsv, expression.tsv and blood.csv whose values rise with the grade."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    cases = [f"P-{seed}-{number:03d}" for number in range(patients)]
    grade = rng.integers(2, 5, patients)
    with (folder / "clinical.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(["case_id", "age_at_diagnosis", "sex", "grade"])
        for case, value in zip(cases, grade, strict=True):
            rows.writerow([case, int(rng.integers(30, 80)), rng.choice(["female", "male"]), f"G{value}"])
    genes = vocabulary(packaged_panel())
    with (folder / "expression.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(["gene_symbol", *cases])
        for gene in genes:
            rows.writerow([gene, *(f"{value:.4f}" for value in 5 + 0.5 * grade + rng.normal(size=patients))])
    with (folder / "blood.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case_id", "analyte", "value", "unit", "ref_low", "ref_high"])
        for case, value in zip(cases, grade, strict=True):
            for analyte in blood_panel()[:3]:
                rows.writerow([case, analyte.loinc, f"{40 + 10 * value + rng.normal():.2f}", analyte.unit, 30, 90])


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(STUDY)
    return path
