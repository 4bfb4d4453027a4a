"""What a simulation fills in, and what `--set` may say."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cohort.genes import groups_digest
from shared.errors import BadInput, CohortError, StudyError
from shared.strategy_names import STRATEGIES
from shared.study import ClassificationTask, Study, SurvivalTask, parse_study
from shared.study_toml import study_toml
from simulations.adapt import adapt, of_fold, override

MakeStudy = Callable[..., Study]
MakeCohort = Callable[..., Path]


def test_no_setting_leaves_the_study_alone(make_study: MakeStudy) -> None:
    study = make_study()
    assert override(study, []) is study


def test_set_reads_nested_keys_as_toml_and_bare_words_as_text(make_study: MakeStudy) -> None:
    study = make_study(
        "training.rounds=7", "training.learning_rate = 1e-2", "training.schedule=constant",
        'split.protocol="leave-one-site-out"', "modalities.clinical.columns=['sex']", "model.zero_init=false",
    )  # fmt: skip
    assert (study.training.rounds, study.training.learning_rate) == (7, 0.01)
    assert (study.training.schedule, study.split.protocol) == ("constant", "leave-one-site-out")
    assert study.modalities.clinical is not None
    assert study.modalities.clinical.columns == ("sex",)
    assert study.model.options["zero_init"] is False


def test_a_setting_keeps_everything_else(make_study: MakeStudy) -> None:
    before, after = make_study("model.scale=block").content(), make_study("model.scale=block", "seed=5").content()
    assert after.pop("seed") == 5
    before.pop("seed")
    assert after == before


@pytest.mark.parametrize("setting", ["training.rounds", "=3", ""])
def test_a_setting_without_key_or_value_is_refused(make_study: MakeStudy, setting: str) -> None:
    with pytest.raises(BadInput, match=r"--set: expected key=value, got '.*'; write e\.g\. --set task\.column=grade"):
        make_study(setting)


def test_unknown_keys_are_refused_by_path(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match=r"--set: 1 fault\n  training\.round: .*write 'rounds'"):
        make_study("training.round=3")


def test_another_architecture_drops_the_options_of_the_first(make_study: MakeStudy) -> None:
    study = make_study("model.scale=block", "model.architecture=s1_crossattn")
    assert study.model.architecture == "s1_crossattn"
    assert "scale" not in study.model.options


def test_a_preset_replaces_the_options_that_were_complete_already(make_study: MakeStudy) -> None:
    small = make_study("model.architecture=late", "model.dropout=0.1", "model.preset=dp_small").model.options
    assert small == {"dim": 64, "dropout": 0.25, "weights": "mean"}
    after = make_study("model.architecture=late", "model.preset=dp_small", "model.dropout=0.1").model.options
    assert after == {**small, "dropout": 0.1}


def test_the_same_architecture_keeps_its_options(make_study: MakeStudy) -> None:
    assert make_study("model.scale=block", "model.architecture=linear").model.options["scale"] == "block"


def test_another_strategy_raises_a_quorum_that_was_not_raised(make_study: MakeStudy) -> None:
    study = make_study("federation.strategy=fedmedian")
    assert (study.federation.quorum, study.federation.branch_quorum) == (3, 3)
    study = make_study("federation.quorum=4", "federation.strategy=fedmedian")
    assert (study.federation.quorum, study.federation.branch_quorum) == (4, 3)
    with pytest.raises(StudyError, match="expected branch_quorum to be at least 3 with fedmedian, got 1"):
        make_study("federation.branch_quorum=1", "federation.strategy=fedmedian")


def test_another_strategy_drops_the_options_of_the_first(make_study: MakeStudy) -> None:
    study = make_study("federation.strategy=fedprox", "federation.strategy_options.proximal_mu=0.5",
                       "federation.strategy=fedadam")  # fmt: skip
    assert study.federation.strategy_options == STRATEGIES["fedadam"]
    same = make_study("federation.strategy=fedprox", "federation.strategy_options.proximal_mu=0.5",
                      "federation.strategy=fedprox")  # fmt: skip
    assert same.federation.strategy_options == {"proximal_mu": 0.5}


def test_another_encoder_wants_its_own_width(make_study: MakeStudy) -> None:
    study = make_study("modalities.slides.encoder=mobilenet_v2")
    with pytest.raises(StudyError, match="expected dim 2048, the width of resnet50, got 1280; write 2048 or 0"):
        override(study, ["modalities.slides.encoder=resnet50"])
    slides = override(study, ["modalities.slides.encoder=resnet50", "modalities.slides.dim=0"]).modalities.slides
    assert slides is not None
    assert slides.dim == 2048


def test_another_column_drops_classes_and_order(make_study: MakeStudy) -> None:
    task = make_study("task.column=sex").task
    assert isinstance(task, ClassificationTask)
    assert (task.column, task.classes, task.groups, task.ordered) == ("sex", (), {}, False)


def test_the_same_column_keeps_classes(make_study: MakeStudy) -> None:
    task = make_study("task.column=grade").task
    assert isinstance(task, ClassificationTask)
    assert task.classes == ("G2", "G3", "G4")


def test_another_kind_of_task_starts_from_its_defaults(make_study: MakeStudy) -> None:
    task = make_study("task.kind=survival").task
    assert isinstance(task, SurvivalTask)
    assert task.time_column == "os_months"


def test_classes_come_from_the_cohort(make_study: MakeStudy, tiny_cohort: Path) -> None:
    study, _ = adapt(make_study("task.column=sex"), tiny_cohort, synthetic=False)
    assert isinstance(study.task, ClassificationTask)
    assert study.task.classes == ("female", "male")


def test_another_column_drops_everything_said_of_the_first(make_study: MakeStudy) -> None:
    task = make_study("task.left_out=['G1']", "task.class_weights=[1, 2, 3]", "task.column=sex").task
    assert task == ClassificationTask(kind="classification", column="sex")


def test_classes_of_joined_columns_and_of_heads_come_from_the_cohort(make_study: MakeStudy, tiny_cohort: Path) -> None:
    head = "heads=[{name='sex', task={kind='classification', column='sex'}}]"
    study, _ = adapt(make_study("task.column=grade + sex", head), tiny_cohort, synthetic=False)
    assert isinstance(study.task, ClassificationTask)
    assert study.task.classes == tuple(f"G{g} + {sex}" for g in (2, 3, 4) for sex in ("female", "male"))
    assert study.heads[0].task.outputs == 1
    assert study.outputs == 7


def test_a_class_that_nobody_has_is_said(make_study: MakeStudy, tiny_cohort: Path) -> None:
    _, notes = adapt(make_study("task.classes=['G1', 'G2', 'G3', 'G4', 'G5']"), tiny_cohort, synthetic=False)
    assert notes[-1] == "No patient of the cohort is G1 or G5: nothing can be learnt or said of it."


def test_values_that_no_class_knows_are_refused_for_every_task_before_anything_is_prepared(
    make_study: MakeStudy, tiny_cohort: Path
) -> None:
    study = make_study(
        "task.classes=['G2', 'G3']",
        "heads=[{name='sex', task={kind='classification', column='sex', classes=['f', 'male']}}]",
    )
    message = r"(?s)grade: expected one of G2, G3, got 'G4' \(\d+\); add.*head sex: .*one of f, male, got 'female' \("
    with pytest.raises(CohortError, match=message):
        adapt(study, tiny_cohort, synthetic=False)


def test_values_of_excluded_patients_are_not_looked_at(
    make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 30})
    table = cohort / "clinical.tsv"
    rows = table.read_text().splitlines()
    rows[1] = rows[1].rsplit("\t", 1)[0] + "\tG9"
    table.write_text("\n".join(rows) + "\n")
    with pytest.raises(CohortError, match="got 'G9'"):
        adapt(make_study(), cohort, synthetic=False)
    (cohort / "exclude.csv").write_text(f"case_id,date,reason\n{rows[1].split()[0]},2025-01-01,\n")
    adapt(make_study(), cohort, synthetic=False)


def test_genes_of_the_cohort_become_one_group(make_study: MakeStudy, tiny_cohort: Path) -> None:
    study, notes = adapt(make_study(), tiny_cohort, synthetic=False)
    expression = study.modalities.expression
    assert expression is not None
    assert expression.groups == {"cohort": tuple(f"GENE{i}" for i in range(6))}
    assert expression.genes_sha256 == groups_digest(expression.groups)
    assert notes == ["Genes: all 6 of the cohort's table, as one group."]


def test_the_packaged_panel_gives_way_to_the_cohort_unless_it_is_synthetic(
    make_study: MakeStudy, tiny_cohort: Path
) -> None:
    panel = make_study("modalities.expression.genes=panel")
    real, _ = adapt(panel, tiny_cohort, synthetic=False)
    made, notes = adapt(panel, tiny_cohort, synthetic=True)
    assert real.modalities.expression is not None
    assert made.modalities.expression is not None
    assert list(real.modalities.expression.groups) == ["cohort"]
    assert len(made.modalities.expression.groups) == 6
    assert notes == []


def test_absent_modalities_are_dropped_with_one_note(make_study: MakeStudy, tiny_cohort: Path) -> None:
    study = make_study("modalities.slides.tile=224", "modalities.blood.route=numeric")
    adapted, notes = adapt(study, tiny_cohort, synthetic=False)
    assert study.modalities.names == ("slides", "expression", "blood", "clinical")
    assert adapted.modalities.names == ("expression", "clinical")
    assert notes[0] == "The cohort has no slides and no blood: the study was run without."
    assert len(notes) == 2  # the other one is about genes


def test_names_of_slides_without_files_are_no_slides(
    make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    (cohort / "slides.tsv").write_text("case_id\tslide_id\nTCGA-AA-0000\tS1\n")
    adapted, notes = adapt(make_study("modalities.slides.tile=224"), cohort, synthetic=False)
    assert "slides" not in adapted.modalities.names
    assert notes[0] == "The cohort has no slides: the study was run without."


def test_a_cohort_with_none_of_the_modalities_is_refused(
    make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    (cohort / "expression.tsv").unlink()
    study = make_study("modalities.clinical.columns=['karnofsky']")
    with pytest.raises(
        StudyError, match="expected files for at least one of expression, clinical, got none; use another"
    ):
        adapt(study, cohort, synthetic=False)


def test_a_cohort_without_clinical_table_is_refused(make_study: MakeStudy, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"expected clinical\.tsv with a column case_id"):
        adapt(make_study(), tmp_path, synthetic=False)


def test_aux_columns_are_named_in_file_order(make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    (cohort / "mutations.tsv").write_text("case_id\tIDH1\tATRX\nTCGA-AA-0000\t1\t0\n")
    study, notes = adapt(make_study("modalities.expression.aux=['mutations', 'copy_number']"), cohort, synthetic=False)
    assert study.modalities.expression is not None
    assert study.modalities.expression.aux == ("mutations",)
    assert study.modalities.expression.aux_columns == ("mutations:IDH1", "mutations:ATRX")
    assert notes[-1] == "The cohort has no copy_number table."


def test_the_adapted_study_reads_back_from_toml_with_its_digest(
    make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    (cohort / "mutations.tsv").write_text("case_id\tIDH1\nTCGA-AA-0000\t1\n")
    study, _ = adapt(make_study("modalities.expression.aux=['mutations']"), cohort, synthetic=False)
    again = parse_study(tomllib.loads(study_toml(study)))
    assert again == study
    assert again.digest == study.digest
    assert adapt(again, cohort, synthetic=False)[0].digest == study.digest  # and fits its own cohort unchanged


def test_repeats_use_their_own_seed(make_study: MakeStudy) -> None:
    study = make_study("seed=10")
    third = of_fold(study, 2, 1)
    assert (third.seed, third.split.repeat, third.split.fold) == (12, 2, 1)
    assert of_fold(study, 0, 0).digest == study.digest


def test_images_need_files(make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    study = make_study("modalities.imaging.crop=false")
    (cohort / "imaging.csv").write_text("case_id,image_id,modality\nTCGA-AA-0000,I1,DX\n")
    adapted, notes = adapt(study, cohort, synthetic=False)
    assert "imaging" not in adapted.modalities.names
    assert notes[0] == "The cohort has no imaging: the study was run without."
    (cohort / "imaging").mkdir()
    (cohort / "imaging" / "I1.png").touch()
    assert "imaging" in adapt(study, cohort, synthetic=False)[0].modalities.names


def test_features_made_elsewhere_are_slides(make_study: MakeStudy, make_cohort: MakeCohort, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4})
    (cohort / "slides.tsv").write_text("case_id\tslide_id\nTCGA-AA-0000\tS1\n")
    (cohort / "features" / "slides").mkdir(parents=True)
    (cohort / "features" / "slides" / "S1.h5").touch()
    assert "slides" in adapt(make_study("modalities.slides.tile=224"), cohort, synthetic=False)[0].modalities.names
