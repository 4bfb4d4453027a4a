"""Keys that people bring to a private study from other tools, and the code that says why there is no such key."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.privacy.fault import Fault

__all__ = ["FOREIGN", "Lesson", "taught"]

Wrong = Callable[[object], bool]


@dataclass(frozen=True)
class Lesson:
    """Why a key, or some of its values, is no part of a private study."""

    code: str
    why: str
    fix: str
    wrong: Wrong = lambda value: True  # the values that the lesson is for


def _switched_on(value: object) -> bool:
    return value not in (False, None, 0, "", "none", "off", "no")


def _other_than(*right: str) -> Wrong:
    return lambda value: value not in right


def _one_of(*wrong: str) -> Wrong:
    return lambda value: isinstance(value, str) and value.lower() in wrong


SCALE = Lesson(
    "DP001",
    "the noise is sigma times privacy.clip; a second scale beside the clip, 1e-4 at clip 1, makes 10,000 times too "
    "little of it",
    "remove it; write epsilon, or sigma",
)
PER_ROUND = Lesson(
    "DP002",
    "a sum of rounds is not the run: over all rounds the cost is composed by PLD",
    "remove it; privacy.epsilon is for the whole run, and every round's share is in the ledger",
)
PASSES = Lesson(
    "DP005",
    "what is charged are noisy steps; passes over the patients are another number",
    "write privacy.steps_per_round and training.rounds",
)
SAMPLER = Lesson(
    "DP010",
    "the cost is accounted for the same chance for everybody, and who is drawn more often pays more",
    "remove it; write public task.class_weights",
    _switched_on,
)
STOPPING = Lesson(
    "DP011",
    "to stop, or to choose a round, by private patients is a release that nobody charged",
    "remove it; training.rounds is fixed, and the last model is the result",
    _switched_on,
)
THRESHOLD = Lesson(
    "DP011",
    "what is fitted to private patients is a release that nobody charged",
    "remove it; write public constants in the study",
    _switched_on,
)
COX = Lesson(
    "DP009",
    "risk sets couple patients: with C = 1, leaving out one of 32 moved the clipped sum by up to 17.96",
    'remove it; task.kind = "survival" is the discrete-time likelihood',
    _one_of("cox", "coxph", "cox_ph", "partial_likelihood", "deepsurv"),
)
SHUFFLE = Lesson(
    "DP012",
    "patients are drawn by own coins (Poisson), which shuffled or fixed-size batches are not: a run accounted at 13.0 "
    "then costs 54.4",
    "remove it; privacy.sample_rate is the chance of each patient in every step",
)
SEEDED = Lesson(
    "DP013",
    "whoever knows the seed subtracts the noise, and two sites with one seed draw the same",
    'remove it; keys come from the operating system (noise_source = "chacha20")',
)
WEIGHTS = Lesson(
    "DP014",
    "weights by patient counts give the counts away and scale every patient's part",
    "remove it; with privacy on every site weighs 1",
    _other_than("equal", "uniform", "none"),
)
FROM_COUNT = Lesson(
    "DP014",
    "a rate or denominator computed from the patients tells how many there are",
    "write privacy.sample_rate and privacy.expected_batch, which are public constants",
)
HEURISTIC = Lesson(
    "DP015",
    "it bounds nothing that one patient changes: sparse vectors at stock values cost epsilon 70,333 in one round",
    'call it a filter and write privacy.mode = "off", or write privacy.mode = "local"',
    _one_of("percentile", "svt", "sparse_vector", "weights_noise", "noise_on_weights"),
)
ACCOUNTANT = Lesson(
    "DP017",
    "the figure of record is by PLD: the Gaussian (CLT) accountant gives 12.50 where the true cost is 13.04",
    "remove it; RDP and PRV are printed beside PLD in every report",
    lambda value: str(value).lower() != "pld",
)
UNIT = Lesson(
    "DP018",
    "each slide or patch would be clipped alone, and a patient with k of them have k times the part",
    "remove it; one record is one patient with everything of that person",
    _other_than("patient"),
)
TOLD = Lesson(
    "DP019",
    "a loss, a count or a metric is computed from patients without noise, and the coordinator may keep it for ever",
    "remove it; with privacy on no train reply holds one",
    _switched_on,
)
BESIDE = Lesson(
    "DP020",
    "it is updated from patients beside the private optimizer, or couples the patients of a batch, and is not charged",
    "remove it",
    _switched_on,
)
LAYERWISE = Lesson(
    "DP007",
    "a clip that follows the gradients is a release of its own, which nobody charged",
    "write privacy.clip, one constant for the whole gradient of a patient",
    _switched_on,
)
IN_THE_END = Lesson(
    "DP008",
    "noise of one step on weights that many steps have moved is that many times too little",
    "remove it; noise is added to the sum of every step",
    _other_than("every_step", "step", "gradient"),
)
SHARES = Lesson(
    "DP021",
    "shares of the noise are enough only while secure aggregation hides them, which this version does not have",
    'remove it; privacy.mode = "local" draws the whole noise at every site',
)

_PATHS: dict[str, tuple[Lesson, ...]] = {
    "privacy.sensitivity privacy.noise_std privacy.noise_scale privacy.noise_level": (SCALE,),
    "privacy.per_round_epsilon privacy.epsilon_per_round privacy.round_epsilon": (PER_ROUND,),
    "privacy.epochs training.epochs privacy.local_epochs": (PASSES,),
    "privacy.clipping privacy.adaptive_clip privacy.per_layer_clip privacy.clipping_quantile": (LAYERWISE,),
    "privacy.noise_at privacy.noise_on": (IN_THE_END,),
    "task.loss training.loss model.loss task.kind": (COX,),
    "training.weighted_sampler training.balanced training.class_balanced training.oversample": (SAMPLER,),
    "training.sampler privacy.sampler": (
        Lesson(SAMPLER.code, SAMPLER.why, SAMPLER.fix, _one_of("weighted", "balanced", "class_balanced")),
        Lesson(SHUFFLE.code, SHUFFLE.why, SHUFFLE.fix, _other_than("poisson")),
    ),
    "training.early_stopping training.patience training.best_epoch training.best_round early_stopping": (STOPPING,),
    "training.threshold task.threshold task.time_bins task.bins": (THRESHOLD,),
    "training.shuffle privacy.shuffle": (SHUFFLE,),
    "privacy.seed privacy.noise_seed privacy.sampler_seed": (SEEDED,),
    "federation.weights federation.weighted federation.site_weights federation.weighted_by": (WEIGHTS,),
    "privacy.sample_size privacy.dataset_size privacy.patients privacy.num_examples": (FROM_COUNT,),
    "privacy.mode privacy.mechanism privacy.filter": (HEURISTIC,),
    "privacy.accountant": (ACCOUNTANT,),
    "privacy.unit privacy.record": (UNIT,),
    "federation.send_loss training.log_loss federation.send_metrics federation.send_counts": (TOLD,),
    "training.ema training.mixup training.cutmix training.mosaic training.contrastive": (BESIDE,),
    "privacy.quorum privacy.colluding privacy.secure_aggregation": (SHARES,),
}
FOREIGN: dict[str, tuple[Lesson, ...]] = {path: lessons for paths, lessons in _PATHS.items() for path in paths.split()}
"""Path of a key in a study -> its lessons, of which the first that is for the written value counts."""


def taught(path: str, value: object, content: Mapping[str, object]) -> str | None:
    """The whole sentence on a key or value that `content`, a study that asks for privacy, cannot have; else None.

    Parameters
    ----------
    path
        As written, such as "training.epochs" or "heads.0.task.loss".
    """
    place = re.sub(r"^heads\.\d+\.", "", path)
    if place not in FOREIGN or not _asks(content):
        return None
    for lesson in FOREIGN[place]:
        if lesson.wrong(value):
            return f"{path}: {Fault(lesson.code, _shown(path, value), lesson.why, lesson.fix)}"
    return None


def _asks(content: Mapping[str, object]) -> bool:
    stated = content.get("privacy")
    return isinstance(stated, Mapping) and (stated.get("mode", "off") != "off" or "epsilon" in stated)


def _shown(path: str, value: object) -> str:
    text = json.dumps(value, default=str)
    return f"{path.rpartition('.')[2]} = {text if len(text) <= 60 else text[:57] + '...'}"
