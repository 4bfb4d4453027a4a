"""Curves from start to end on small hospitals: dose 0, resuming, drop-outs and poison through the server's own code."""

import csv
import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message, RecordDict

import simulations
from shared.arrays import from_record, to_record
from shared.errors import BadInput
from shared.messages import TrainReply
from shared.study import Study
from simulations.adapt import override
from simulations.arms import train_arm
from simulations.fold import Fold, make_folds
from simulations.ready import Ready
from simulations.scores import measure_scores, score_arm
from simulations.stresses import CURVES
from simulations.stresses.curve import Base
from simulations.stresses.options import Options
from simulations.stresses.poisoned_site import reversed_by
from simulations.stresses.site_dropout import silent_with
from simulations.stresses.stressed_grid import stressed

SCRIPT = Path(simulations.__file__).with_name("stress.py")
Run = Callable[..., dict[str, Any]]


def rows_of(content: dict[str, Any], curve: str, line: str) -> dict[float, dict[str, Any]]:
    (found,) = (c for c in content["curves"] if c["name"] == curve)
    return {row["dose"]: row for row in found["rows"] if row["line"] == line}


@pytest.mark.slow
def test_dose_0_is_the_untouched_cohort_and_a_finished_point_is_not_trained_again(
    run: Run, base: Base, ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = run("missing", "dropout", doses=(0.0, 0.4))
    trained = train_arm("federated", base.fold, ready.hospitals, tmp_path / "plain")
    measured = measure_scores(score_arm(base.fold, trained), base.fold)
    for curve, line in (("missing", "blood"), ("missing", "expression"), ("dropout", "fedavg")):
        untouched = rows_of(content, curve, line)[0.0]
        assert untouched["change"] == {}
        assert untouched["prepare"] == []
        for where in ("own_site_mean", "unseen"):
            assert untouched["values"][where]["auc"]["value"] == pytest.approx(measured[where].point["auc"][0], abs=0)
    assert (
        rows_of(content, "missing", "expression")[0.4]["values"] != rows_of(content, "missing", "blood")[0.4]["values"]
    )
    assert len(list((tmp_path / "out" / "points").glob("*.npz"))) == 4  # dose 0 is one point of all curves
    assert not (tmp_path / "out" / "checkpoints").exists()

    def trains_again(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a finished point was trained again")

    monkeypatch.setattr("simulations.stresses.runner.train_arm", trains_again)
    again = run("missing", "dropout", doses=(0.0, 0.4))
    assert again["curves"] == content["curves"]


@pytest.mark.slow
def test_curves_share_one_untouched_fold_a_seed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(hospitals: Any, study: Study, least: int, folds: int | None) -> list[Fold]:
        made.append(study.split.repeat)
        return make_folds(hospitals, study, least, folds)

    monkeypatch.setattr("simulations.stresses.runner.make_folds", counted)
    content = run("dropout", "missing", doses=(0.0, 0.4), seeds=2)
    # dropout touches no hospital; missing has doses of expression and of blood
    assert made == [0, 0, 0, 1, 1, 1]
    own = rows_of(content, "missing", "blood")[0.0]["values"]["own_site_mean"]["auc"]
    assert own == rows_of(content, "dropout", "fedavg")[0.0]["values"]["own_site_mean"]["auc"]
    assert own["sd"] > 0  # two seeds


@pytest.mark.slow
def test_every_file_of_a_run_says_the_same(run: Run, tmp_path: Path) -> None:
    content = run("units", doses=(0.0, 2.0))
    row = rows_of(content, "units", "expression_tpm")[2.0]
    assert row["prepare"][0]["file"] == "expression.tsv.gz"
    assert len(row["prepare"][0]["hospitals"]) == 2
    with (tmp_path / "out" / "stress.csv").open() as file:
        found = {
            (line["line"], float(line["dose"])): float(line["value"])
            for line in csv.DictReader(file)
            if (line["place"], line["metric"]) == ("unseen", "auc")
        }
    for (line, dose), value in found.items():
        assert value == rows_of(content, "units", line)[dose]["values"]["unseen"]["auc"]["value"]
    table = (tmp_path / "out" / "stress.md").read_text()
    assert "left out by prepare at" in table
    assert "no figure here says anything about medicine" in table
    page = (tmp_path / "out" / "stress.html").read_text()
    assert "<svg" in page
    assert "Unit mistakes" in page
    assert 'src="' not in page
    assert "<link" not in page
    assert json.loads((tmp_path / "out" / "stress.json").read_text())["curves"] == content["curves"]
    assert (tmp_path / "out" / "stress.png").stat().st_size > 5000
    everything = table + page + json.dumps(content)
    assert "TCGA-" not in everything  # no patient is named


def test_sites_that_do_not_answer_are_left_out_by_the_round_loop_itself(
    base: Base, ready: Ready, tmp_path: Path
) -> None:
    def never(site: str, order: Message, before: int) -> bool:
        return site in ("AA", "AB") and order.metadata.message_type == "train"

    trained = train_arm("federated", base.fold, ready.hospitals, tmp_path, engine=stressed(loses=never))
    assert len(trained.rounds) == 2
    for record in trained.rounds:
        assert record["missing"] == dict.fromkeys(("AA", "AB"), "no reply before the deadline")
        assert sorted(record["sites"]) == ["AC", "AD", "AE"]
        assert record["seconds"] >= 0.25  # the deadline was waited for


@pytest.mark.slow
def test_a_round_without_a_quorum_is_tried_three_times_and_then_told(run: Run) -> None:
    lost = rows_of(run("dropout", doses=(0.0, 1.0)), "dropout", "fedavg")[1.0]
    assert lost["values"] == {}
    assert "round 1: expected 2 usable replies, got 0 in 3 attempts" in lost["failed"]


def test_drop_outs_are_nested_and_as_frequent_as_asked() -> None:
    def lost(chance: float) -> set[tuple[str, int]]:
        loses = silent_with(chance, 0)
        return {
            (site, number)
            for site in ("A", "B")
            for number in range(500)
            if loses(site, Message(RecordDict(), 1, "train", group_id=str(number)), 0)
        }

    assert lost(0.2) < lost(0.6)
    assert 0.15 < len(lost(0.2)) / 1000 < 0.25
    assert not silent_with(1.0, 0)("A", Message(RecordDict(), 1, "query.handshake", group_id="0"), 0)


def test_a_reversed_update_goes_the_other_way_from_what_was_received() -> None:
    order = Message(RecordDict({"arrays": to_record({"head.w": np.array([1.0, 2.0], np.float32)})}), 1, "train")
    honest = TrainReply("AA", 1, {"head.w": np.array([1.5, 2.0], np.float32)}, {"fusion": 9}, 1, 0.5, {})
    reply = reversed_by("AA", 4.0)("AA", order, Message(honest.content(), reply_to=order))
    forged = from_record(reply.content.array_records["arrays"])
    assert forged["head.w"].tolist() == [-1.0, 2.0]
    assert forged["head.w"].dtype == np.float32
    assert honest.arrays["head.w"].tolist() == [1.5, 2.0]  # the site's own arrays stay
    other = reversed_by("AB", 4.0)("AA", order, Message(honest.content(), reply_to=order))
    assert from_record(other.content.array_records["arrays"])["head.w"].tolist() == [1.5, 2.0]


@pytest.mark.slow
def test_a_median_resists_a_reversed_update_that_ruins_the_mean(base: Base, tmp_path: Path) -> None:
    poison, found = CURVES["poison"], {}
    for line in poison.lines(base.study)[:2]:
        study = override(base.study, (*line.settings, "training.rounds=8"))
        base = replace(base, fold=replace(base.fold, study=study))
        dosed = poison.apply(base, line, 20.0)
        trained = train_arm("federated", base.fold, dosed.hospitals, tmp_path / line.name, engine=dosed.engine)
        assert not any(record["missing"] for record in trained.rounds)  # the update is taken, not rejected
        found[line.name] = float(
            measure_scores(score_arm(base.fold, trained), base.fold)["own_site_mean"].point["auc"][0]
        )
    assert found["fedmedian"] > found["fedavg"] + 0.1


def test_the_coordinator_rejects_an_update_that_is_too_long(base: Base, tmp_path: Path) -> None:
    dosed = CURVES["poison"].apply(base, CURVES["poison"].lines(base.study)[0], 1e6)
    trained = train_arm("federated", base.fold, dosed.hospitals, tmp_path, engine=dosed.engine)
    assert dosed.marks == {"poison": ["AE", 1e6]}  # the largest hospital
    for record in trained.rounds:
        assert list(record["missing"]) == ["AE"]
        assert "expected a norm of at most 100 times the model's" in record["missing"]["AE"]


def test_bad_options_give_one_sentence_each(study: Study, cohort: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^--curves: expected some of stain, blur.*each once, got noise; correct it$"):
        Options(study=study, curves=("labels", "noise"))
    with pytest.raises(BadInput, match="^--doses: expected two or more rising numbers that begin with 0, got 1,0;"):
        Options(study=study, doses=(1.0, 0.0))
    with pytest.raises(BadInput, match="^--doses: expected numbers up to 1 for dropout, got 0,3; correct it$"):
        Options(study=study, curves=("dropout",), doses=(0.0, 3.0))
    with pytest.raises(BadInput, match="^--doses: expected whole numbers up to 50 for units, got 0,0.5; correct it$"):
        Options(study=study, curves=("units",), doses=(0.0, 0.5))
    with pytest.raises(BadInput, match="^--seeds: expected at least 1, got 0; correct it$"):
        Options(study=study, seeds=0)
    with pytest.raises(BadInput, match="^--curves: stain: expected a study with slides, got expression, blood; leave"):
        run("stain")


def test_every_curve_begins_with_dose_0_and_has_a_colour_for_each_line(study: Study) -> None:
    for curve in CURVES.values():
        assert curve.doses[0] == 0
        assert max(curve.doses) <= curve.highest
        assert len(curve.lines(study)) <= 5


def test_the_command_runs_and_refuses(
    cohort: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--cache", str(cache), *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    options = ("--cohort", str(cohort), "--curves", "dropout", "--quick", "--doses", "0,0.1,0.3", "--rounds", "1")
    code, out, err = command(*options, "--out", "run")
    assert code == 0, err
    assert "dropout" in out
    assert "Page: run/stress.html" in out
    content = json.loads((tmp_path / "run" / "stress.json").read_text())
    assert [row["dose"] for row in content["curves"][0]["rows"]] == [0, 0.3]
    assert command("--doses", "0,x")[0] == 2
    assert command("--study", "nobody")[0] == 2
