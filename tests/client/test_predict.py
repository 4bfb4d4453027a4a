"""Scores of a site's patients: who is in the file, with what, and who may read it."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from client.evaluation import predict
from client.local_state import own_folder, write_local
from client.predict import AVERAGED, predict_patients
from client.prepare.exclusions import exclude
from client.prepare.preparation import prepare
from client.prepare.purge import purge
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import load_everyone, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.store import FeatureStore
from shared.errors import BadInput, Refused
from shared.run_folder import OWN_LAYERS, read_run
from shared.site import Site, read_site
from shared.study import Study, parse_study
from tests.federation import CONTENT, Run, prepared_site, tiny_study, write_site
from tests.finished_runs import finished_run

STUDY = tiny_study()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Site D, five patients whom nobody has graded; the fourth has no age and no sex, the fifth no genes either."""
    file = write_site(tmp_path / "D", (2, 2, 1))
    data = file.parent / "data"
    lines = [line.split("\t")[:3] for line in (data / "clinical.tsv").read_text().splitlines()]
    lines[4][1:] = lines[5][1:] = ["", ""]
    (data / "clinical.tsv").write_text("\n".join("\t".join(cells) for cells in lines) + "\n")
    genes = [line.split("\t")[:5] for line in (data / "expression.tsv").read_text().splitlines()]
    (data / "expression.tsv").write_text("\n".join("\t".join(cells) for cells in genes) + "\n")
    site = read_site(file)
    prepare(site, PrepareSettings.of(STUDY))
    return site


def test_every_prepared_patient_is_scored_without_a_label(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", STUDY))
    predicted = predict_patients(site, run, tmp_path / "out" / "p.csv")
    rows = rows_of(tmp_path / "out" / "p.csv")

    assert [row["case_id"] for row in rows] == [f"PATIENT-D-{i:03d}" for i in range(5)]
    assert [row["modalities"] for row in rows] == ["expression+clinical"] * 3 + ["expression", ""]
    assert [row["absent"] for row in rows] == [""] * 3 + ["clinical", ""]
    assert [row["left_out"] for row in rows] == [""] * 4 + ["no modality of the study"]
    assert rows[4]["prediction"] == rows[4]["probability:G2"] == ""
    for row in rows[:4]:
        shares = {name: float(row[f"probability:{name}"]) for name in ("G2", "G3", "G4")}
        assert abs(sum(shares.values()) - 1) < 1e-6
        assert row["prediction"] == max(shares, key=lambda name: shares[name])
    assert {row["use"] for row in rows} == {"research use only"}
    assert {row["model"] for row in rows} == {f"tiny-{STUDY.digest[:8]} {run.model_sha256[:12]}"}
    assert (tmp_path / "out" / "p.csv").stat().st_mode & 0o777 == 0o600
    said = "\n".join(predicted.lines())
    assert "4 patients scored by tiny-" in said
    assert "3 with expression+clinical, 1 with expression" in said
    assert "1 left out: no modality of the study" in said
    assert "research use only" in said
    assert "PATIENT" not in said


def test_the_file_lies_in_the_state_folder_and_goes_when_a_patient_withdraws(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", STUDY))
    predicted = predict_patients(site, run)
    assert predicted.file == site.state / "predictions" / f"tiny-{STUDY.digest[:8]}.csv"
    purge(site, ("PATIENT-D-000",))
    assert not predicted.file.exists()


def test_patients_of_exclude_csv_and_those_who_came_later(site: Site, tmp_path: Path) -> None:
    exclude(site, ("PATIENT-D-001",), "second opinion differs")
    with (site.data / "clinical.tsv").open("a") as file:
        file.write("PATIENT-D-100\t50\tmale\n")
    predicted = predict_patients(site, read_run(finished_run(tmp_path / "run", STUDY)))
    found = {row["case_id"]: row["left_out"] for row in rows_of(predicted.file)}
    assert "PATIENT-D-001" not in found
    assert found["PATIENT-D-100"] == "not prepared yet: run `prepare`"
    assert (predicted.excluded, predicted.left_out.total(), predicted.used.total()) == (1, 2, 3)
    prepare(site, PrepareSettings.of(STUDY))  # the store is without her now
    assert predict_patients(site, read_run(tmp_path / "run")).excluded == 1


def test_only_an_earlier_file_of_predictions_gives_way(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", STUDY))
    (tmp_path / "notes.csv").write_text("case_id,note\n")
    (tmp_path / "link.csv").symlink_to(site.data / "new.csv")
    kept = [site.data / "clinical.tsv", tmp_path / "run/metrics.json", tmp_path / "notes.csv"]
    before = [path.read_bytes() for path in kept]
    for path, expected in [
        (kept[0], "expected a file outside .*data, got one inside; name another"),
        (kept[1], "expected a file outside .*run, got one inside; name another"),
        (kept[2], "expected no file or earlier predictions, got another file; name another"),
        (site.data / "new.csv", "expected a file outside .*data"),
        (tmp_path / "link.csv", "expected a file outside .*data"),
        (tmp_path, "expected a file to write, got a folder; name a file in it"),
        (kept[2] / "p.csv", "expected a place to write to, got .*; name another file"),
    ]:
        with pytest.raises(BadInput, match=f"{path}: {expected}"):
            predict_patients(site, run, path)
    assert [path.read_bytes() for path in kept] == before
    out = predict_patients(site, run, tmp_path / "p.csv").file
    first = out.read_bytes()
    assert predict_patients(site, run, out).file.read_bytes() == first


def test_a_wrong_file_is_refused_before_anything_is_read(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", tiny_study(modalities={"clinical": {"columns": ["sex"]}})))
    with pytest.raises(BadInput, match="got a folder"):  # and not: nothing is prepared for this study
        predict_patients(site, run, tmp_path)


def test_a_model_that_learned_from_nothing_that_the_patients_have_scores_nobody(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", STUDY, untrained=("clinical", "expression")))
    with pytest.raises(Refused, match="got 4, each of whom has only modalities that the model was never trained on"):
        predict_patients(site, run, tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_a_branch_that_nobody_trained_is_not_used(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", STUDY, untrained=("clinical",)))
    predicted = predict_patients(site, run)
    assert predicted.used == {"expression": 4}
    assert "taken as absent, since the model was never trained on it: clinical" in predicted.lines()


def test_survival_gives_risk_and_the_chance_to_live_beyond_each_edge(site: Site, tmp_path: Path) -> None:
    study = parse_study({**CONTENT, "task": {"kind": "survival", "time_edges": [12.0, 36.0]}})
    rows = rows_of(predict_patients(site, read_run(finished_run(tmp_path / "run", study))).file)
    for row in rows[:4]:
        assert 0 < float(row["survival:36"]) < float(row["survival:12"]) < 1
        assert -3 < float(row["risk"]) < -float(row["survival:12"]) - float(row["survival:36"])
    assert "prediction" not in rows[0]


def test_a_further_head_has_columns_of_its_own(site: Site, tmp_path: Path) -> None:
    content: dict[str, Any] = {
        **CONTENT,
        "heads": [{"name": "death", "task": {"kind": "survival", "time_edges": [24.0]}}],
    }
    rows = rows_of(predict_patients(site, read_run(finished_run(tmp_path / "run", parse_study(content)))).file)
    assert {"prediction", "probability:G4", "death:risk", "death:survival:24"} <= rows[0].keys()
    assert -2 < float(rows[0]["death:risk"]) < 0


def test_own_gene_statistics_are_those_of_the_training_patients(tmp_path: Path) -> None:
    study = tiny_study(modalities=_scaled_by_site(STUDY))
    file = write_site(tmp_path / "A", (8, 8, 8))
    site = prepared_site(file, study)
    run = read_run(finished_run(tmp_path / "run", study))
    before = rows_of(predict_patients(site, run).file)
    store = FeatureStore.open(store_folder(site, PrepareSettings.of(study)))
    everyone = load_everyone(store, study, site.expression.scale).patients
    sums = load_patients(store, study, site.expression.scale).train_sums
    values, observed, clip = everyone.expression, everyone.expression_observed, study.modalities.expression.clip
    statistics = GeneStatistics.merge([sums], values.shape[1])
    scaled = replace(everyone, expression=statistics.apply(values, observed, clip))
    expected = predict(run.model(), scaled, study)[:, 0]
    np.testing.assert_allclose([float(row["probability:G2"]) for row in before], expected, rtol=0, atol=1e-6)
    text = (site.data / "clinical.tsv").read_text()
    (site.data / "clinical.tsv").write_text("\n".join(line.rsplit("\t", 1)[0] for line in text.splitlines()) + "\n")
    prepare(site, PrepareSettings.of(study))
    unlabelled = rows_of(predict_patients(site, read_run(tmp_path / "run")).file)
    assert len(before) == len(unlabelled) == 24
    assert [row["probability:G2"] for row in before] != [row["probability:G2"] for row in unlabelled]


def _scaled_by_site(study: Study) -> dict[str, Any]:
    content = study.content()["modalities"]
    return {**content, "expression": {**content["expression"], "normalise": "site"}}


def test_a_site_uses_the_layers_that_came_with_the_model_and_no_others(site: Site, tmp_path: Path) -> None:
    study = tiny_study(model={"architecture": "s1_crossattn", "dim": 8, "heads": 2}, federation={"strategy": "fedbn"})
    run = read_run(finished_run(tmp_path / "run", study))
    name = next(n for n in run.arrays if n.startswith("branches.clinical.") and run.arrays[n].ndim == 1)
    layers = {name: np.full_like(run.arrays[name], 3.0)}
    averaged = predict_patients(site, run)
    before = averaged.file.read_bytes()
    # another run of the same study may have left these
    write_local(own_folder(site, study.digest), "layers", study.training.rounds, layers)
    assert predict_patients(site, run).file.read_bytes() == before

    save_file(layers, tmp_path / "run" / OWN_LAYERS)
    own = predict_patients(site, read_run(tmp_path / "run"))
    assert own.file.read_bytes() != before
    assert (AVERAGED in averaged.lines(), AVERAGED in own.lines()) == (True, False)


def test_a_model_without_such_layers_says_nothing_of_them(site: Site, tmp_path: Path) -> None:
    assert AVERAGED not in predict_patients(site, read_run(finished_run(tmp_path / "run", STUDY))).lines()


def test_a_deployed_run_scores_a_site_with_every_modality_it_has(
    sites: dict[str, Path], undisturbed: Run, tmp_path: Path
) -> None:
    run = read_run(undisturbed.folder)
    for name, used in (("A", "expression+clinical"), ("C", "clinical")):
        predicted = predict_patients(read_site(sites[name]), run, tmp_path / f"{name}.csv")
        assert predicted.used == {used: 24 if name == "A" else 27}
    rows = rows_of(tmp_path / "A.csv")
    right = [row["prediction"] == f"G{2 + int(row['case_id'][-3:]) // 8}" for row in rows]
    assert np.mean(right) > 0.5  # trained on most of them, and the genes rise with the grade
