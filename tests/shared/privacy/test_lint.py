"""Every code of the lint: the least that breaks the promise, and its corrected twin."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort import MODALITIES
from shared.cohort.batch import Batch, ModelOutput
from shared.messages import TrainReply, bucket
from shared.models import ARCHITECTURES
from shared.models.inputs import Inputs
from shared.privacy.facts import PRIVATE_REPLY, Facts, facts_of
from shared.privacy.fault import Fault
from shared.privacy.lint import RULES, lint
from shared.privacy.lint_cost import upper_edge
from shared.privacy.probe_batch import VALUES, probe_batch
from shared.resolve import resolve
from shared.study import Study, parse_study
from shared.tasks import loss_of
from shared.weights import new_model
from tests.federation import CONTENT, tiny_study
from tests.shared.models.cases import DETECTORS, SETS, suits

PRIVACY = {
    **{"mode": "local", "epsilon": 4.0, "delta": 1e-5, "sample_rate": 0.1, "steps_per_round": 10},
    **{"expected_batch": 10.0},
}
STUDY = tiny_study(privacy=PRIVACY)


def losses_of(study: Study) -> Callable[[ModelOutput, Batch], Tensor]:
    loss = loss_of(study)
    return lambda output, batch: loss(output, batch) + output["aux_loss"]


def facts(study: Study = STUDY, model: nn.Module | None = None, **known: Any) -> Facts:
    return facts_of(study, model or new_model(study), losses_of(study), bucket="50-99", **known)


GOOD = facts()
assert GOOD.terms.sigma > 0.484


def terms(**changes: Any) -> dict[str, Any]:
    return {"terms": replace(GOOD.terms, **changes)}


BROKEN: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [  # code, broken, mended, a number or word of the why
    ("DP001", {"noise_std": 4.845e-5}, {"noise_std": GOOD.terms.sigma}, "10,000"),
    ("DP003", {"ledger": False}, {"ledger": True}, "4 rounds cost 4.00"),
    ("DP004", {"engine": "round 0"}, {"engine": "any round"}, "up to 3 rounds"),
    ("DP005", {"local_epochs": 5}, {"local_epochs": 1}, "10 noisy steps, 40 in the run"),
    ("DP005", {"steps_from": "int(1/q)"}, {"steps_from": "study"}, "19 of the n below 400"),
    ("DP006", {"buffers": ("mean of Centre",)}, {"buffers": ()}, "outside the noisy step"),
    ("DP007", {"noised": frozenset({"intercept.weight"})}, {"noised": GOOD.noised}, "epsilon infinite"),
    ("DP007", {"clipping": "layer"}, {"clipping": "patient"}, "no epsilon at all"),
    ("DP008", {"noise_at": "the final weights"}, {"noise_at": "every step"}, "10 times too little"),
    ("DP010", {"sampler": "weighted"}, {"sampler": "poisson"}, "a chance of 0.1"),
    ("DP011", {"fitted": ("early stopping",)}, {"fitted": ()}, "1 patient"),
    ("DP012", {"sampler": "shuffle"}, {"sampler": "poisson"}, r"costs epsilon 41\.\d, not 4\.00"),
    ("DP013", {"noise_source": "torch's global seed"}, {"noise_source": "os-seeded"}, r"manual_seed\(42\)"),
    ("DP014", {"from_patients": ("the sample rate",)}, {"from_patients": ()}, "1 patient more"),
    ("DP015", {"mechanism": "a sparse vector"}, {"mechanism": "gaussian"}, "70,333"),
    ("DP016", terms(delta=2e-3), terms(delta=1e-3), r"1/\(10 x 99\) = 0.001"),
    ("DP016", {"bucket": "5000+"}, {"bucket": "1000-4999"}, r"delta = 1e-05 to be at most 1/\(10 n\)"),
    ("DP016", {"bucket": "", **terms(delta=0.02)}, {"bucket": "", **terms(delta=0.01)}, r"= 0\.01"),
    ("DP017", {"accountant": "gdp"}, {"accountant": "pld"}, "12.50 where that is 13.04"),
    ("DP017", {"recorded": "epsilon"}, {"recorded": "events"}, "7.4"),
    ("DP018", {"unit": "slide"}, {"unit": "patient"}, "931 slides of 871 patients"),
    ("DP018", {"duplicates": 2}, {"duplicates": 0}, "epsilon 4.0 becomes 9.1"),
    ("DP019", {"reply": PRIVATE_REPLY | {"loss_sum"}}, {"reply": PRIVATE_REPLY}, "4 times in this run"),
    ("DP019", {"reply": frozenset({"patients"})}, {"reply": frozenset({"patients"}), "recorded_aux": {"patients"}}, ""),
    ("DP020", {"outside": ("an average of the weights",)}, {"outside": ()}, "4 rounds"),
    ("DP021", terms(mode="distributed"), terms(mode="local"), "11.6"),
]


@pytest.mark.parametrize(("code", "broken", "mended", "number"), BROKEN)
def test_the_least_that_breaks_the_promise_is_told_and_its_twin_passes(
    code: str, broken: Mapping[str, Any], mended: Mapping[str, Any], number: str
) -> None:
    (fault,) = lint(replace(GOOD, **broken))
    assert fault.code == code
    assert re.search(number, fault.why)
    assert lint(replace(GOOD, **mended)) == []


def loose(delta: float) -> dict[str, Any]:
    return {**PRIVACY, "delta": delta, "sigma": 2.0}


STUDIES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [  # code, broken and mended sections, what is found
    ("DP002", {"privacy": {**PRIVACY, "sigma": 1.0}}, {"privacy": {**PRIVACY, "sigma": 2.0}}, "sigma = 1"),
    ("DP005", {"training": {"local_epochs": 3}}, {"training": {"local_epochs": 1}}, "training.local_epochs = 3"),
    (
        "DP013",
        {"privacy": {**PRIVACY, "noise_source": "test-seeded"}},
        {"privacy": {**PRIVACY, "noise_source": "os-seeded"}},
        "test-seeded outside a simulation",
    ),
    ("DP016", {"privacy": loose(0.01)}, {"privacy": loose(0.001)}, "privacy.delta = 0.01 at a site of 50-99"),
    (
        "DP020",
        {"federation": {"strategy": "scaffold"}, "training": {"optimizer": "sgd"}},
        {"federation": {"strategy": "fedavg"}, "training": {"optimizer": "sgd"}},
        "SCAFFOLD's control variates",
    ),
]


@pytest.mark.parametrize(("code", "broken", "mended", "found"), STUDIES)
def test_a_study_that_breaks_the_promise_is_told_and_its_twin_passes(
    code: str, broken: dict[str, Any], mended: dict[str, Any], found: str
) -> None:
    (fault,) = lint(facts(tiny_study(**{"privacy": PRIVACY, **broken})))
    assert fault.code == code
    assert found in fault.found
    assert lint(facts(tiny_study(**{"privacy": PRIVACY, **mended}))) == []


@pytest.mark.parametrize("normalise", ["federated", "site"])
def test_sums_over_patients_are_no_private_scale(normalise: str) -> None:
    study = tiny_study(privacy=PRIVACY, modalities={"expression": expression(normalise)})
    (fault,) = lint(facts(study))
    assert str(fault).startswith(f'DP011: found modalities.expression.normalise = "{normalise}"; ')
    assert lint(facts(tiny_study(privacy=PRIVACY, modalities={"expression": expression("rank")}))) == []


def expression(normalise: str) -> dict[str, Any]:
    return {**CONTENT["modalities"]["expression"], "normalise": normalise}


def test_a_noise_by_the_classical_formula_is_known_by_its_number() -> None:
    sigma = math.sqrt(2 * math.log(1.25 / 1e-5)) / 4.0
    (fault,) = lint(facts(tiny_study(privacy={**PRIVACY, "sigma": sigma}, training={"rounds": 40})))
    assert fault.code == "DP002"
    assert "sqrt(2 ln(1.25/delta))/epsilon" in fault.found
    assert "an epsilon below 1" in fault.why


def test_noise_too_small_to_account_has_no_bound() -> None:
    found = lint(facts(tiny_study(privacy={**PRIVACY, "sigma": 4.845e-5})))
    assert [fault.code for fault in found] == ["DP002"]
    assert "costs epsilon without bound" in found[0].why


def test_known_noise_is_let_through_in_a_simulation_alone() -> None:
    study = tiny_study(privacy={**PRIVACY, "noise_source": "test-seeded"})
    assert lint(facts(study, simulated=True)) == []
    assert [fault.code for fault in lint(facts(study))] == ["DP013"]


@pytest.mark.parametrize("patients", [1, 9, 10, 19, 20, 60, 150, 300, 700, 4999])
def test_the_usual_delta_suits_every_bucket_that_has_an_upper_edge(patients: int) -> None:
    assert patients <= (upper_edge(bucket(patients)) or 0)
    assert lint(replace(GOOD, bucket=bucket(patients))) == []
    assert [fault.code for fault in lint(replace(GOOD, bucket=bucket(5000)))] == ["DP016"]


def test_a_bucket_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r'expected a size bucket such as "20-49", got \'many\''):
        upper_edge("many")


def test_all_faults_are_told_at_once_in_the_order_of_the_codes() -> None:
    everything = {name: value for _, broken, _, _ in BROKEN for name, value in broken.items() if name != "terms"}
    found = [fault.code for fault in lint(replace(GOOD, **everything, terms=replace(GOOD.terms, mode="distributed")))]
    assert found == sorted(found)
    # a site's bucket, or a mode, hides nothing else
    assert set(found) == set(RULES) - {"DP002", "DP009", "DP010", "DP016"}


def test_a_fault_is_one_sentence_with_its_code_first() -> None:
    assert str(Fault("DP006", "a", "b", "c")) == "DP006: found a; b; c"


def test_every_code_has_a_rule_and_a_failing_case() -> None:
    assert list(RULES) == [f"DP{number:03}" for number in range(1, 22)]
    assert {code for code, *_ in (*BROKEN, *STUDIES)} | {"DP009"} == set(RULES)


def test_no_fault_hides_what_was_found_why_or_what_to_do() -> None:
    for _, broken, _, _ in BROKEN:
        for fault in lint(replace(GOOD, **broken)):
            assert all(len(part) > 9 for part in (fault.found, fault.why, fault.fix)), fault


def test_the_lint_knows_every_field_of_a_train_reply() -> None:
    told = {"patients", "loss_sum", "evaluation", "control"}
    assert {field.name for field in fields(TrainReply)} == PRIVATE_REPLY | told


def test_a_study_without_privacy_has_nothing_to_lint() -> None:
    with pytest.raises(ValueError, match="expected a study with privacy on, got one without"):
        facts_of(tiny_study(), None, None)


def test_a_detector_is_refused_before_it_is_built() -> None:
    content = {
        **{"schema": 1, "name": "lesions", "task": {"kind": "detection"}, "model": {"architecture": "yolo"}},
        **{"modalities": {"imaging": {}}, "privacy": PRIVACY},
    }
    faults = lint(facts_of(parse_study(content), None, None))
    assert [fault.code for fault in faults] == ["DP006", "DP009"]
    assert all("public data" in fault.fix for fault in faults)


class Small(nn.Module):
    """Logits of the clinical table, by way of `part`."""

    def __init__(self, part: nn.Module, width: int = 6, outputs: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(2, width)
        self.part = part
        self.head = nn.Linear(width, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        embedding = self.part(self.enter(batch.clinical))
        logits = self.head(embedding)
        return ModelOutput(logits=logits, aux_loss=torch.zeros(len(batch)), embedding=embedding, attention={})


class Centred(nn.Module):
    """Minus the mean of the batch, which may be cut off from the gradient."""

    def __init__(self, *, detached: bool = False) -> None:
        super().__init__()
        self.detached = detached

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=0)
        return x - (mean.detach() if self.detached else mean)


class Around(nn.Module):
    """The centring stands between two children, in the code of this module itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(x)
        after: Tensor = self.second(inner - inner.mean(dim=0))
        return after


class Skipping(nn.Module):
    """A child is left out unless the first patient of the batch is the foremost."""

    def __init__(self) -> None:
        super().__init__()
        self.rare = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rare(x) if x[:, 0].argmax() == 0 else x


class Running(nn.Module):
    """Keeps a running mean, but does not use it."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(dim=0))
        return x


class Attending(nn.Module):
    """torch's own attention of a patient to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        token = x[:, None, :]
        out: Tensor = self.attention(token, token, token)[0]
        return out[:, 0]


class Squared(nn.Module):
    """A patient's vector times itself."""

    def __init__(self) -> None:
        super().__init__()
        self.product = nn.Bilinear(6, 6, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.product(x, x)
        return out


PARTS = [
    (Centred(), ["DP020: found part (Centred), in which other patients move the loss of one by a slope of"]),
    (Centred(detached=True), ["DP020: found part (Centred), in which other patients move the loss of one;"]),
    (nn.Sequential(nn.Tanh(), Centred()), ["DP020: found part.1 (Centred), in which"]),
    (Around(), ["DP020: found part (Around), in which"]),
    (Skipping(), ["DP020: found part (Skipping), in which"]),
    (nn.BatchNorm1d(6), ["DP006: found part (BatchNorm1d);", "DP007: found 2 tensors that leave without noise (part."]),
    (nn.BatchNorm1d(6, track_running_stats=False), ["DP006: found part (BatchNorm1d);"]),
    (
        nn.Sequential(nn.BatchNorm1d(6, track_running_stats=False), Centred()),
        ["DP006: found part.0 (BatchNorm1d);"],
    ),
    (
        nn.Sequential(nn.BatchNorm1d(6, affine=False), Centred()),
        ["DP006: found part.0 (BatchNorm1d);", "DP007: found 2 tensors", "DP020: found part.1 (Centred), in which"],
    ),
    (Running(), ["DP006: found the buffer part.mean of Running, which training changes;"]),
    (Attending(), ["DP020: found part.attention (MultiheadAttention);"]),
    (Squared(), ["DP020: found part.product (Bilinear);"]),
]


@pytest.mark.parametrize(("part", "expected"), PARTS, ids=lambda value: "" if isinstance(value, list) else None)
def test_the_part_of_a_model_that_breaks_the_promise_is_named(part: nn.Module, expected: list[str]) -> None:
    faults = [str(fault) for fault in lint(facts(model=Small(part)))]
    assert [fault[: len(start)] for fault, start in zip(faults, expected, strict=True)] == expected


@pytest.mark.parametrize("part", [nn.Tanh(), nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.Dropout(0.5), nn.Identity()])
def test_parts_that_look_at_one_patient_pass(part: nn.Module) -> None:
    assert lint(facts(model=Small(part))) == []


def test_the_attention_of_opacus_is_refused_by_name() -> None:
    from opacus.layers import DPMultiheadAttention

    model = Small(nn.Identity())
    model.unused = DPMultiheadAttention(6, 2)
    (fault,) = lint(facts(model=model))
    assert str(fault).startswith("DP020: found unused (DPMultiheadAttention); with several heads and batch_first it is")


def test_a_weight_that_starts_at_zero_hides_nothing() -> None:
    model = Small(Centred())
    nn.init.zeros_(model.head.weight)
    assert [fault.code for fault in lint(facts(model=model))] == ["DP020"]


def test_a_buffer_with_a_gradient_is_refused() -> None:
    model = Small(nn.Identity())
    model.register_buffer("scale", torch.ones(1, requires_grad=True))
    (fault,) = lint(facts(model=model))
    assert str(fault).startswith("DP006: found the buffer scale with a gradient, which training changes;")


def cox(output: ModelOutput, batch: Batch) -> Tensor:
    """The Cox partial likelihood (Cox 1972, equation 14), one term a death."""
    risk = output["logits"][:, 0]
    at_risk = batch.time[None, :] >= batch.time[:, None]
    return (torch.logsumexp(torch.where(at_risk, risk[None, :], -math.inf), dim=1) - risk) * (1 - batch.cens)


def by_class_counts(output: ModelOutput, batch: Batch) -> Tensor:
    """Weights that follow from the labels of a batch: no input has a slope by it."""
    counts = (batch.y[:, None] == batch.y[None, :]).sum(dim=1)
    return functional.cross_entropy(output["logits"], batch.y, reduction="none") / counts


def mean_loss(output: ModelOutput, batch: Batch) -> Tensor:
    return functional.cross_entropy(output["logits"], batch.y)


def constant(output: ModelOutput, batch: Batch) -> Tensor:
    return output["logits"].detach().sum(dim=1) * 0


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (cox, "the loss, in which other patients move the loss of one by a slope of"),
        (by_class_counts, "the loss, in which other patients move the loss of one"),
        (mean_loss, "a loss of shape [] for 3 patients"),
        (constant, "a loss that no number of any patient moves"),
    ],
)
def test_a_loss_that_is_not_one_number_a_patient_is_refused(
    loss: Callable[[ModelOutput, Batch], Tensor], found: str
) -> None:
    survival = study_of("linear", ("clinical",), {"kind": "survival"})
    for study in (STUDY, survival):
        (fault,) = lint(facts_of(study, new_model(study), loss))
        assert fault.code == "DP009"
        assert fault.found.startswith(found)
    assert lint(facts_of(survival, new_model(survival), losses_of(survival))) == []


def test_looking_at_a_model_leaves_it_and_the_random_numbers_alone() -> None:
    model = Small(nn.Sequential(Running(), nn.BatchNorm1d(6), nn.Dropout())).eval()
    model.head.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    facts(model=model)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert all(p.grad is None for p in model.parameters())


MODALITY_SECTIONS: dict[str, Any] = {
    "slides": {"encoder": "own", "dim": 12, "max_patches": 9},
    "expression": CONTENT["modalities"]["expression"],
    "blood": {"analytes": ["6768-6", "2532-0"]},
    "imaging": {},
    "clinical": {},
}


def study_of(architecture: str, use: tuple[str, ...], task: Mapping[str, Any] | None = None) -> Study:
    """A private study with the architecture's preset for private training."""
    return resolve(
        parse_study(
            {
                **{
                    "schema": 1,
                    "name": "one",
                    "task": task or CONTENT["task"],
                    "model": {"architecture": architecture},
                },
                **{"modalities": {name: MODALITY_SECTIONS[name] for name in use}, "privacy": PRIVACY},
            }
        )
    )


@pytest.mark.parametrize(
    ("architecture", "use"),
    [(name, use) for name in ARCHITECTURES if name not in DETECTORS for use in SETS if suits(name, use)],
)
def test_every_model_of_the_registry_passes_with_its_private_preset(architecture: str, use: tuple[str, ...]) -> None:
    study = study_of(architecture, use)
    assert lint(facts(study)) == []


def test_further_heads_keep_patients_apart() -> None:
    content = study_of("late", ("expression", "clinical")).content()
    content["heads"] = [{"name": "death", "task": {"kind": "survival"}}]
    assert lint(facts(parse_study(content))) == []


@pytest.mark.parametrize("use", [*SETS, ("clinical",), ("blood", "imaging")])
def test_the_probe_has_the_public_shapes_of_the_study(use: tuple[str, ...]) -> None:
    study = study_of("linear", use)
    inputs, batch, others = Inputs.of(study), probe_batch(study), probe_batch(study, 1)
    widths = [inputs.slides, inputs.genes, inputs.aux, inputs.blood, inputs.imaging, inputs.clinical]
    assert [getattr(batch, name).shape[-1] for name in VALUES] == widths
    assert batch.present.shape == (3, len(use))
    assert batch.slides.shape[1] <= 8
    for column in fields(Batch):
        assert getattr(batch, column.name).shape == getattr(others, column.name).shape
    for modality in use:
        here = batch.present[:, use.index(modality)]
        assert here.sum() >= 2  # or nobody could be seen to touch another
        values = getattr(batch, modality)
        assert [bool(row.any()) for row in values] == [bool(flag) for flag in here]
    assert not (batch.y == others.y).any()
    assert set(use) <= set(MODALITIES)
