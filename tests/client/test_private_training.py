"""A private round: what leaves it, whom it depends on, and by how much."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from client.private_training import PrivateResult, train_privately
from client.training import train_round
from shared.cohort.patients import Patients
from shared.errors import StudyError, WorkFailed
from shared.study import Study, parse_study
from shared.weights import new_model, trainable

GENES = [f"G{i}" for i in range(6)]
CLIP = 0.7
GRADES = {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"], "ordered": True}
CASES: dict[str, dict[str, Any]] = {
    "two classes": {"task": {"kind": "classification", "column": "idh", "classes": ["mut", "wt"]}},
    "grades": {"task": GRADES},
    "survival": {"task": {"kind": "survival"}},
    "further heads": {"heads": [{"name": "grade", "task": GRADES}]},
    "umeml": {"model": {"architecture": "umeml", "dim": 8, "heads": 2, "dropout": 0.0}},
    "linear": {"model": {"architecture": "linear"}},
}
each_case = pytest.mark.parametrize("name", CASES)


def study_of(name: str = "grades", **privacy: Any) -> Study:
    """Four steps over everybody by plain gradient descent, the noise too small to see."""
    small = {"architecture": "dp_small", "dim": 8, "dropout": 0.0}
    content = {"schema": 1, "name": "private", "task": GRADES, "model": small, **CASES[name]}
    content["modalities"] = {
        "slides": {"encoder": "bench", "dim": 5, "max_patches": 6},
        "expression": {"genes": "gmt", "groups": {"one": GENES[:4], "two": GENES[3:]}},
    }
    content["training"] = {"optimizer": "sgd", "weight_decay": 0.0, "modality_dropout": 0.0, "rounds": 2}
    content["privacy"] = {
        "mode": "local", "epsilon": 4.0, "delta": 1e-5, "sigma": 1e-9, "clip": CLIP, "sample_rate": 1.0,
        "steps_per_round": 4, "expected_batch": 8.0, "noise_source": "test-seeded", **privacy,
    }  # fmt: skip
    return parse_study(content)


@pytest.fixture
def patients() -> Patients:
    """Twelve patients, every third without slides; some bags are longer than the cap."""
    rng, count = np.random.default_rng(0), 12

    def table(width: int) -> np.ndarray:
        return rng.normal(size=(count, width)).astype(np.float32)

    present = np.ones((count, 2), dtype=np.float32)
    present[::3, 0] = 0
    return Patients(
        site=np.full(count, "A"),
        case_id=np.array([f"PATIENT-{i}" for i in range(count)]),
        modalities=("slides", "expression"),
        present=present,
        bags=tuple(table(5)[: 0 if i % 3 == 0 else 1 + i] for i in range(count)),
        max_patches=6,
        expression=table(6),
        expression_observed=rng.random((count, 6)) < 0.8,
        **{name: table(0) for name in ("aux", "blood", "clinical")},
        **{f"{name}_observed": table(0) > 0 for name in ("aux", "blood", "clinical")},
        y=rng.integers(0, 2, count),
        time=np.ones(count, dtype=np.float32),
        cens=(rng.random(count) < 0.5).astype(np.float32),
        further_y=rng.integers(-1, 3, (count, 1)),
        further_time=table(1),
        further_cens=np.zeros((count, 1), dtype=np.float32),
    )


def after(
    study: Study, patients: Patients, seed: int | None = 1, rate: float = 0.1, start: Study | None = None, **more: Any
) -> torch.Tensor:
    """All parameters after a round, in one vector; they begin as those of `start`, since each study has its own."""
    model = new_model(start or study)
    train_privately(model, trainable(model), patients, study, learning_rate=rate, seed=seed, **more)
    return flat(model)


def flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double()


def moved(study: Study, patients: Patients, start: Study | None = None, **more: Any) -> torch.Tensor:
    """What a round of one step added to the parameters, in units of the clipped sum."""
    terms = study.terms
    assert terms is not None
    assert terms.steps_per_round == 1
    way = flat(new_model(start or study)) - after(study, patients, rate=0.5, start=start, **more)
    return way * terms.expected_batch / 0.5


@each_case
@pytest.mark.parametrize("backend", ["auto", "loop"])
def test_a_round_trains_and_tells_its_steps_alone(patients: Patients, name: str, backend: str) -> None:
    study = study_of(name, backend=backend)
    model = new_model(study)
    result = train_privately(model, trainable(model), patients, study, learning_rate=0.1, seed=1)
    assert result == PrivateResult(4)
    assert [field.name for field in fields(result)] == ["steps"]
    now, start = flat(model), flat(new_model(study))
    assert torch.isfinite(now).all()
    assert (now != start).any()
    assert all(p.grad is None for p in model.parameters())


@each_case
def test_one_patient_moves_the_sum_by_at_most_the_clip(patients: Patients, name: str) -> None:
    study = study_of(name, steps_per_round=1, clip=CLIP)
    everybody = moved(study, patients)
    influence = []
    for left_out in (0, 3, 5):  # they draw no patches, so that the others' stay as they were
        kept = [i for i in range(len(patients)) if i != left_out]
        influence.append(float((everybody - moved(study, patients.take(kept))).norm()))
    assert max(influence) <= CLIP * (1 + 1e-4)
    assert max(influence) >= CLIP / 20  # or nothing was seen at all


@pytest.mark.parametrize("value", [1e15, np.inf, np.nan])
def test_so_does_one_with_absurd_values(patients: Patients, value: float) -> None:
    study = study_of(steps_per_round=1)
    values, observed = patients.expression.copy(), patients.expression_observed.copy()
    values[4], observed[4] = value, True
    odd = replace(patients, expression=values, expression_observed=observed)
    difference = moved(study, odd) - moved(study, odd.take([i for i in range(12) if i != 4]))
    assert torch.isfinite(difference).all()
    assert float(difference.norm()) <= CLIP * (1 + 1e-4)


def test_the_sum_and_not_the_mean_is_divided_by_a_constant(patients: Patients) -> None:
    patients = replace(patients, max_patches=12)  # all patches, since twins would draw different ones
    study = study_of(steps_per_round=1)
    once = moved(study, patients)
    torch.testing.assert_close(moved(study, Patients.concatenate([patients, patients])), 2 * once, rtol=1e-3, atol=1e-4)
    other = study_of(steps_per_round=1, expected_batch=32.0)
    torch.testing.assert_close(moved(other, patients, start=study), once, rtol=1e-3, atol=1e-4)


def test_a_site_without_patients_sends_noise(patients: Patients) -> None:
    study = study_of(sigma=2.0)
    nobody = after(study, patients.take([]))
    noise = (nobody - flat(new_model(study))) * 8 / 0.1
    # four steps of noise with deviation sigma C each
    assert float(noise.std()) == pytest.approx(2 * 2.0 * CLIP, rel=5 / (2 * len(noise)) ** 0.5)
    assert not torch.equal(nobody, after(study, patients.take([]), seed=2))


def test_batches_are_drawn_by_coins_and_never_skipped(patients: Patients, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, batch = [], Patients.batch

    def watched(self: Patients, index: Any, **options: Any) -> Any:
        sizes.append(len(index))
        assert options["generator"] is not None
        return batch(self, index, **options)

    monkeypatch.setattr(Patients, "batch", watched)
    after(study_of(sample_rate=0.1, steps_per_round=60), patients)
    assert len(sizes) == 60
    assert 0 in sizes
    assert len(set(sizes)) > 2


def test_the_proximal_pull_comes_after_the_noise_and_is_never_clipped(patients: Patients) -> None:
    two, one = study_of(sigma=1.0, steps_per_round=2), study_of(sigma=1.0, steps_per_round=1)
    nobody, start = patients.take([]), flat(new_model(two))
    first, both = (after(study, nobody, start=two) - start for study in (one, two))  # the same seed: the same noise
    pulled = after(two, nobody, start=two, proximal_mu=50.0) - start
    # w2 = w1 - rate (noise + mu (w1 - w0)), Li et al. 2020, equation 2
    torch.testing.assert_close(pulled, both - 0.1 * 50.0 * first, rtol=1e-3, atol=1e-5)


def test_only_the_given_parameters_change(patients: Patients) -> None:
    study = study_of(sigma=1.0)
    model, start = new_model(study), dict(new_model(study).named_parameters())
    train_privately(model, trainable(model, ["slides"]), patients, study, learning_rate=0.1, seed=1)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, start[name]) is name.startswith("branches.expression"), name


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_simulations_seed_repeats_everything(patients: Patients, optimizer: str) -> None:
    study = study_of(sample_rate=0.5, sigma=1.0)
    dropping = study.training.model_copy(update={"modality_dropout": 0.4, "optimizer": optimizer})
    study = study.model_copy(update={"training": dropping})
    found = []
    for state, seed in ((5, 1), (6, 1), (6, 2)):
        torch.default_generator.manual_seed(state)
        before = torch.get_rng_state()
        found.append(after(study, patients, seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


@pytest.mark.parametrize("source", ["chacha20", "os-seeded"])
def test_no_seed_repeats_a_real_round(patients: Patients, source: str) -> None:
    study = study_of(noise_source=source, sigma=1.0)
    start = flat(new_model(study))
    for hospital in (patients, patients.take([])):
        found = []
        for _ in range(2):
            torch.default_generator.manual_seed(42)
            found.append(after(study, hospital, seed=42) - start)
        assert torch.isclose(*found).double().mean() < 0.01  # of a thousand parameters a few meet by chance
    one, other = found  # nothing but noise: the two have no more to do with each other than any two
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 5 / len(one) ** 0.5
    assert float((one - other).std()) == pytest.approx(2 * 2**0.5 * CLIP * 0.1 / 8, rel=5 / (2 * len(one)) ** 0.5)


def test_without_noise_and_clipping_a_round_is_that_of_plain_training(patients: Patients) -> None:
    study = study_of(clip=1e6, sigma=1e-15, steps_per_round=1, expected_batch=12.0)
    whole = study.training.model_copy(update={"batch_size": 0})
    study = study.model_copy(update={"training": whole})
    few = replace(patients, max_patches=12)  # all patches, since the two draw them differently
    plain = new_model(study)
    train_round(plain, trainable(plain), few, study, learning_rate=0.1, seed=0)
    torch.testing.assert_close(after(study, few), flat(plain), rtol=1e-4, atol=1e-6)


def test_a_dropout_mask_is_drawn_for_every_patient(patients: Patients) -> None:
    study = study_of(steps_per_round=1)
    options = {**study.model.options, "dropout": 0.5}
    study = study.model_copy(update={"model": study.model.model_copy(update={"options": options})})
    assert not torch.allclose(moved(study, patients), moved(study, patients, seed=2), atol=1e-3)


def test_what_cannot_be_trained_is_refused(patients: Patients) -> None:
    with pytest.raises(ValueError, match='expected a study with privacy.mode = "local", got off; train it with'):
        after(study_of().model_copy(update={"privacy": type(study_of().privacy)()}), patients)
    with pytest.raises(ValueError, match="expected a seed with noise_source = test-seeded, got none"):
        after(study_of(), patients, seed=None)
    with pytest.raises(StudyError, match=r"privacy.backend: expected 'auto', 'vmap' or 'loop', got \"hooks\""):
        after(study_of(backend="hooks"), patients)


def test_parameters_that_ran_away_fail_the_round_and_name_nobody(patients: Patients) -> None:
    with pytest.raises(WorkFailed, match="^expected finite parameters after a private round, got others; lower"):
        after(study_of(sigma=1e3), patients, rate=1e38)
