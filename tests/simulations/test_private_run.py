"""`run.py --epsilon`: the federated arm is private, says what it cost, and a run can be repeated and resumed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from server.privacy_report import write_run_report
from shared.errors import BadInput
from shared.privacy.report import verify_report
from shared.study import Study
from simulations.adapt import override
from simulations.private_settings import private_settings
from simulations.report.terminal import privacy_lines
from simulations.simulate import Options, simulate


def private(study: Study, epsilon: float, *settings: str) -> Study:
    written = override(study, settings)
    return override(written, private_settings(written, epsilon))


def run(study: Study, cohort: Path, root: Path, **options: object):
    chosen = {"arms": ("federated",), "out": root / "out", "cache": root / "cache", **options}
    return simulate(Options(study, cohort=str(cohort), **chosen), lambda what, done, total: None, lambda line: None)


def test_epsilon_fills_in_terms_that_look_at_no_patient(make_study: Callable[..., Study]) -> None:
    study = private(make_study("training.local_epochs=2", "training.batch_size=0"), 4.0)
    assert study.terms is not None
    assert (study.terms.epsilon, study.terms.delta, study.terms.clip) == (4.0, 1e-5, 1.0)
    assert (study.terms.sample_rate, study.terms.steps_per_round, study.terms.expected_batch) == (0.1, 20, 16.0)
    assert study.training.local_epochs == 1
    assert study.modalities.expression is not None
    assert study.modalities.expression.normalise == "rank"


def test_terms_that_the_study_states_stay(make_study: Callable[..., Study]) -> None:
    terms = "epsilon=2.0, delta=1e-6, clip=0.3, sample_rate=0.5, steps_per_round=3, expected_batch=9.0"
    stated = f'privacy={{mode="local", {terms}}}'
    study = private(make_study(stated, 'modalities.expression.normalise="rank"'), 7.0)
    assert study.terms is not None
    assert (study.terms.epsilon, study.terms.delta, study.terms.clip) == (7.0, 1e-6, 0.3)
    assert (study.terms.sample_rate, study.terms.steps_per_round, study.terms.expected_batch) == (0.5, 3, 9.0)


@pytest.mark.slow
def test_fewer_rounds_need_less_noise(make_study: Callable[..., Study]) -> None:
    study = private(make_study(), 4.0, "training.rounds=20")
    fewer = override(study, ["training.rounds=2"])
    other = override(study, ["training.learning_rate=0.3"])
    assert study.terms is not None
    assert fewer.terms is not None
    assert other.terms is not None
    assert fewer.terms.sigma < study.terms.sigma == other.terms.sigma


@pytest.mark.slow
def test_a_private_run_says_what_it_cost_and_can_be_repeated(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = private(make_study(), 6.0)
    for _ in range(2):  # into the same folder: the rounds are there, and so are their charges
        folder, metrics = run(study, tiny_cohort, tmp_path)
        assert {(one["mode"], one["charges"]) for one in metrics["privacy"].values()} == {("local", 3)}
        assert all(5.9 < one["epsilon"] <= 6.0 for one in metrics["privacy"].values())
    assert not verify_report((folder / "privacy-report.json").read_text())  # a simulation has no key to sign with
    (folder / "privacy-report.html").unlink()
    write_run_report(folder)
    assert "WITHIN CAP" in (folder / "privacy-report.html").read_text()
    assert any("(the arms federated, personal and iid) has differential privacy" in note for note in metrics["notes"])
    assert any("each training keeps a ledger of its own" in note for note in metrics["notes"])
    lines = list(privacy_lines(metrics))
    assert len(lines) == 3
    assert lines[0].startswith("Privacy at 02: epsilon 6.00 at delta 1e-05, a patient there or not;")
    assert "6.00" in (folder / "model-card.md").read_text()


@pytest.mark.slow
def test_an_epsilon_beyond_every_cap_is_for_simulations(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    _, metrics = run(private(make_study(), 30.0), tiny_cohort, tmp_path)
    assert {one["charges"] for one in metrics["privacy"].values()} == {3}


@pytest.mark.slow
def test_noise_from_a_known_seed_repeats_and_is_not_private(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = override(private(make_study(), 6.0), ['privacy.noise_source="test-seeded"'])
    models = []
    for place in ("one", "two"):
        folder, metrics = run(study, tiny_cohort, tmp_path, out=tmp_path / place)
        models.append((folder / "model.safetensors").read_bytes())
    assert models[0] == models[1]
    assert {(one["mode"], one["epsilon"]) for one in metrics["privacy"].values()} == {("test", None)}
    assert "NOT PRIVATE" in (folder / "privacy-report.html").read_text()
    assert "NOT PRIVATE" in (folder / "model-card.md").read_text()
    assert "NOT PRIVATE: the noise came from a known seed." in metrics["notes"]
    assert all("NOT PRIVATE" in line for line in privacy_lines(metrics))


def test_an_epsilon_that_no_noise_can_keep_is_refused(make_study: Callable[..., Study]) -> None:
    with pytest.raises(BadInput, match="expected an epsilon that some noise can keep"):
        private(make_study(), 1e-9)
