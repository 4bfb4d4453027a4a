"""The packaged study files: each can be read, names its system, and finds its synthetic cohort."""

from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

from shared.study import ClassificationTask, Study, read_study
from shared.tasks import task_of
from simulations.simulate import Options, simulate
from simulations.studies import cohort_of
from simulations.synthetic import KINDS

TCGA = Path(__file__).parents[3] / "shared" / "data" / "tcga_gbmlgg"  # beside the checkout, never in it
FOLDER = Path(str(files("simulations.studies")))
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))


def packaged(name: str) -> Study:
    return read_study(FOLDER / f"{name}.toml")


def test_the_three_systems_are_there() -> None:
    systems = {name: packaged(name).model.architecture for name in NAMES if name[:2] in ("s1", "s2", "s3")}
    assert systems["s1_breast"] == "s1_crossattn"
    assert systems["s2_bone"] == "s2_fusion"
    assert {systems[f"s3_glioma_{task}"] for task in ("survival", "grade", "class")} == {"umeml"}


@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_study_can_be_read_and_has_a_cohort(name: str) -> None:
    assert packaged(name).digest
    assert cohort_of(name) in {*(kind.cohort for kind in KINDS), "lung"}
    assert cohort_of(f"{name}.toml") == cohort_of(str(FOLDER / f"{name}.toml")) == cohort_of(name)


def test_a_study_of_ones_own_runs_on_the_glioma_cohort() -> None:
    assert cohort_of("elsewhere/mine.toml") == "synthetic"


UMEML = {"heads", "dropout", "prototypes", "registers", "modularity", "gamma"}
GIVEN = {
    "s1_breast": {"column", "classes", "groups", "left_out", "heads", "head_dropout", "tile", "max_patches"},
    "s2_bone": {"column", "classes", "crop"},
    "s3_glioma_survival": {*UMEML, "event_column"},  # the line above it says that the endpoint is ours
    "s3_glioma_grade": {*UMEML, "column", "classes"},
    "s3_glioma_class": {*UMEML, "classes", *(f"G4 + IDH{gene}" for gene in ("wt", "mut-non-codel"))}
    | {f"{grade} + IDHmut-{gene}" for grade in ("G2", "G3") for gene in ("codel", "non-codel")},
}
"""What each system's paper or code gives, beside the kind of the task and the architecture."""


@pytest.mark.parametrize("name", GIVEN)
def test_every_line_of_a_system_that_no_paper_gave_says_so(name: str) -> None:
    said, silent = False, set()  # said: a comment above, or "ours, and all below"
    for line in (FOLDER / f"{name}.toml").read_text().splitlines():
        if "# ours, and all below" in line:
            break
        if line.startswith("#"):
            said = said or line.startswith("# ours")
        elif " = " in line:
            silent |= set() if said or "# ours" in line else {line.split(" = ")[0].strip('"')}
            said = False
    assert silent - {"schema", "name", "kind"} <= GIVEN[name] | {"architecture"}
    assert GIVEN[name] <= silent


def labels(name: str, rows: dict[str, list[str]]) -> list[str]:
    """The class of each row of a patient table, or the reason why it has none."""
    study = packaged(name)
    assert isinstance(study.task, ClassificationTask)
    found = task_of(study.task).labels(pd.DataFrame(rows))
    return [reason or study.task.classes[y] for y, reason in zip(found.y, found.reason, strict=True)]


def test_breast_subtypes_become_two_classes_and_normal_like_is_left_out() -> None:
    found = labels("s1_breast", {"pam50": ["LumA", "LumB", "Her2", "Basal", "Normal"]})
    assert found[:4] == ["Luminal", "Luminal", "Basal/Her2", "Basal/Her2"]
    assert found[4] not in ("Luminal", "Basal/Her2")


def test_grade_and_genes_become_six_classes_and_low_grade_wild_type_is_left_out() -> None:
    pairs = [
        ("G4", "IDHwt"), ("G4", "IDHmut-non-codel"), ("G3", "IDHmut-non-codel"), ("G2", "IDHmut-non-codel"),
        ("G3", "IDHmut-codel"), ("G2", "IDHmut-codel"), ("G3", "IDHwt"), ("G2", "IDHwt"), ("", "IDHwt"),
    ]  # fmt: skip
    found = labels("s3_glioma_class", {"grade": [g for g, _ in pairs], "idh_codel_subtype": [s for _, s in pairs]})
    assert found[:6] == ["G4 GBM", "G4 Astro", "G3 Astro", "G2 Astro", "G3 Oligo", "G2 Oligo"]
    assert not set(found[6:]) & set(found[:6])


@pytest.mark.slow
@pytest.mark.skipif(not TCGA.is_dir(), reason="the TCGA tables are not beside the checkout")
def test_six_glioma_classes_on_real_tables_leave_out_whom_the_classification_cannot_place(tmp_path: Path) -> None:
    settings = ("training.rounds=1", "model.dim=16", "model.heads=2")
    options = Options(
        packaged("s3_glioma_class"), cohort=str(TCGA), split="tss", settings=settings, arms=("federated",),
        out=tmp_path / "run", cache=tmp_path / "cache",
    )  # fmt: skip
    said: list[str] = []
    _, metrics = simulate(options, lambda what, done, total: None, said.append)
    assert any("no slides" in note for note in said)
    sites = metrics["cohort"]["sites"].values()
    patients = sum(site["patients"] for site in sites) + metrics["cohort"]["unseen"]["patients"]
    assert patients == 83 + 4 + 96 + 106 + 66 + 76
    assert sum(metrics["cohort"]["excluded"].values()) == 569 - patients
    assert metrics["arms"]["federated"]["own"]["auc"]["value"] is not None
