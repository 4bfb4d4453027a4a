"""The study file: the immutable description of one training, and its digest (CONTRACT.md section 1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from shared.cohort import MODALITIES
from shared.cohort.genes import groups_digest
from shared.digests import canonical_json, sha256_json
from shared.documents import Added, Document, contradictions, digest_content, parse, read_toml, readable
from shared.encoder_names import ENCODER_WIDTHS, TEXT_ENCODER_WIDTHS
from shared.errors import StudyError
from shared.privacy.foreign_keys import taught
from shared.privacy.terms import Terms
from shared.privacy_settings import Privacy
from shared.private_switches import private_defaults
from shared.strategy_names import STRATEGIES, least_sites, option_faults, training_faults
from shared.task_settings import ClassificationTask, DetectionTask, Head, LabelTask, SurvivalTask, Task

__all__ = [
    "Blood",
    "ClassificationTask",
    "Clinical",
    "DetectionTask",
    "Expression",
    "Federation",
    "Governance",
    "Head",
    "Imaging",
    "LabelTask",
    "Modalities",
    "ModelChoice",
    "Privacy",
    "Slides",
    "Split",
    "Study",
    "SurvivalTask",
    "Task",
    "Training",
    "parse_study",
    "read_study",
]

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Scalar = bool | int | float | str
EncoderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Stain = Literal["none", "macenko", "reinhard"]


class Governance(Document):
    """Who is responsible and why; printed in approvals and reports, never used by the training."""

    purpose: str
    controller: str
    contact: str
    ethics_reference: str
    retention: str


class ModelChoice(Document):
    """The architecture and its options, completed with that architecture's defaults."""

    architecture: str
    options: dict[str, Scalar] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, written: Any) -> Any:
        """In the file the options stand beside `architecture`."""
        if not isinstance(written, dict) or "options" in written:
            return written
        options = {key: value for key, value in written.items() if key != "architecture"}
        return {**{k: v for k, v in written.items() if k == "architecture"}, "options": options}

    @model_validator(mode="after")
    def _complete(self) -> "ModelChoice":
        from shared.models import resolve_options  # imports torch, which reading a study else would not

        object.__setattr__(self, "options", resolve_options(self.architecture, self.options))
        return self


class Slides(Document):
    """How slides become bags: the frozen encoder, the tile size in px and its resolution in um/px.

    `dim` is the width of the encoder's features; 0 fills it in for an encoder of shared/encoder_names.py, so that the
    digest holds it. Another name is a model whose file every site holds; `dim` must then be written. `quality` leaves
    out blurred, inked and empty tiles.
    """

    encoder: EncoderName = "mobilenet_v2"
    encoder_sha256: Sha256 = ""
    weights: Literal["pretrained", "random"] = "pretrained"
    dim: Annotated[int, Field(ge=0)] = 0
    mpp: Annotated[float, Field(gt=0)] = 0.5
    tile: Annotated[int, Field(ge=32)] = 224
    max_patches: Positive = 200
    stain: Annotated[Stain, Added] = "none"
    quality: bool = True

    @model_validator(mode="after")
    def _complete(self) -> "Slides":
        object.__setattr__(self, "dim", _width(self.encoder, self.dim, ENCODER_WIDTHS, "dim"))
        return self


class Expression(Document):
    """Gene groups, and how values are brought to one scale.

    `genes` is "panel" (packaged), a GMT file, or "cohort" (simulation only). `groups` and `aux_columns` are filled
    when the study is resolved, so that the study alone fixes the vocabulary.
    """

    genes: str = "panel"
    genes_sha256: Sha256 = ""
    groups: dict[str, tuple[str, ...]] = {}
    normalise: Literal["federated", "rank", "site"] = "federated"
    clip: Annotated[float, Field(gt=0)] = 5.0
    aux: tuple[Literal["mutations", "copy_number"], ...] = ()
    aux_columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> "Expression":
        if self.groups and self.genes_sha256 and groups_digest(self.groups) != self.genes_sha256:
            contradictions(["expected genes_sha256 to be that of groups, got another; let `submit` fill both"])
        return self


class Blood(Document):
    """Analytes of the blood branch, and how results enter the model.

    `analytes` are LOINC codes; empty until resolved to the packaged panel. The route `numeric` gives signed distances
    to the reference intervals; `template` and `local_llm` describe the results in words, which the frozen
    `text_encoder` turns into `text_dim` numbers.
    """

    route: Literal["numeric", "template", "local_llm"] = "numeric"
    analytes: tuple[str, ...] = ()
    text_encoder: Annotated[Literal[""] | EncoderName, Added] = ""
    text_encoder_sha256: Annotated[Sha256, Added] = ""
    text_dim: Annotated[int, Field(ge=0), Added] = 0

    @model_validator(mode="after")
    def _complete(self) -> "Blood":
        if self.route == "numeric":
            if self.text_encoder or self.text_dim:
                contradictions(['expected no text_encoder with route = "numeric", got one; remove it, or name a route'])
        else:
            object.__setattr__(self, "text_encoder", self.text_encoder or "biobert-base-cased-v1.2")
            width = _width(self.text_encoder, self.text_dim, TEXT_ENCODER_WIDTHS, "text_dim")
            object.__setattr__(self, "text_dim", width)
        return self


class Imaging(Document):
    """How clinical images become features: the frozen encoder, and whether the lesion is cut out first.

    At most `max_images` images of a patient are used, in the order of image_id.
    """

    encoder: EncoderName = "resnet50"
    encoder_sha256: Sha256 = ""
    weights: Literal["pretrained", "random"] = "pretrained"
    dim: Annotated[int, Field(ge=0)] = 0
    crop: bool = True
    max_images: Positive = 4

    @model_validator(mode="after")
    def _complete(self) -> "Imaging":
        object.__setattr__(self, "dim", _width(self.encoder, self.dim, ENCODER_WIDTHS, "dim"))
        return self


class Clinical(Document):
    """Clinical columns; each number enters as (value - centre) / unit with the public constants of `scale`."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)] = ("age_at_diagnosis", "sex")
    scale: dict[str, tuple[float, float]] = {}


def _width(encoder: str, written: int, known: dict[str, int], key: str) -> int:
    """The width of an encoder's features; ValueError when the study and the table disagree, or nobody says."""
    width = known.get(encoder, written)
    if not width:
        contradictions(
            [f"expected {key}, since mmfed does not know how wide {encoder!r} is, got none; write {key} = NUMBER"]
        )
    if written not in (0, width):
        contradictions([f"expected {key} {width}, the width of {encoder}, got {written}; write {width} or 0"])
    return width


class Modalities(Document):
    """The modalities a study uses; one that is left out is not read anywhere."""

    slides: Slides | None = None
    expression: Expression | None = None
    blood: Blood | None = None
    imaging: Annotated[Imaging | None, Added] = None
    clinical: Clinical | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities in use, in the fixed order."""
        return tuple(name for name in MODALITIES if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _agrees(self) -> "Modalities":
        contradictions([] if self.names else ["expected at least one modality, got none; add e.g. [modalities.slides]"])
        return self


class Training(Document):
    """What a site does in one round. `batch_size = 0` is one full batch; the optimizer is new each round."""

    rounds: Positive = 30
    local_epochs: Positive = 1
    batch_size: Annotated[int, Field(ge=0)] = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    modality_dropout: Fraction = 0.3


class Federation(Document):
    """How updates become one model, and how long to wait for them."""

    strategy: str = "fedavg"
    strategy_options: dict[str, float] = {}
    quorum: Positive = 2
    branch_quorum: Positive = 2
    deadline_s: Annotated[float, Field(gt=0)] = 3600.0
    wire: Literal["fp32"] = "fp32"
    max_message_mb: Annotated[int, Field(ge=1, le=200)] = 20

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in STRATEGIES:
            raise ValueError(f"expected one of {', '.join(STRATEGIES)}, got {name!r}; choose one of them")
        return name

    @model_validator(mode="after")
    def _complete(self) -> "Federation":
        """The strategy's options, completed with its defaults, so that the digest holds them.

        So are the quorums: a strategy that looks for odd sites needs enough of them to tell.
        """
        faults = option_faults(self.strategy, self.strategy_options)
        contradictions(faults)
        object.__setattr__(self, "strategy_options", STRATEGIES[self.strategy] | self.strategy_options)
        least = least_sites(self.strategy, self.strategy_options)
        for name in ("quorum", "branch_quorum"):
            if name not in self.model_fields_set:
                object.__setattr__(self, name, max(getattr(self, name), least))
            elif getattr(self, name) < least:
                got = getattr(self, name)
                faults.append(
                    f"expected {name} to be at least {least} with {self.strategy}, got {got}; write {name} = {least}"
                )
        contradictions(faults)
        return self


class Split(Document):
    """How patients are split; `repeat` and `fold` are set by a simulation.

    `folds` counts those of patient-kfold, whose test patients are one fold of every site, and of preserved-site-kfold,
    whose unseen sites are one fold of all; test_fraction is what else a training site keeps for its own test.
    `by` stratum keeps the classes of training and test patients alike; `by` patient decides each patient alone, which
    a study with privacy asks for and has unless it says otherwise.
    """

    protocol: Literal["holdout", "patient-kfold", "leave-one-site-out", "preserved-site-kfold"] = "holdout"
    test_fraction: Fraction = 0.3
    by: Annotated[Literal["stratum", "patient"], Added] = "stratum"
    folds: Annotated[int, Field(ge=2, le=20), Added] = 5
    repeat: Annotated[int, Field(ge=0)] = 0
    fold: Annotated[int, Field(ge=0)] = 0

    @property
    def counted(self) -> bool:
        """Whether the protocol has `folds` folds."""
        return self.protocol.endswith("kfold")

    @model_validator(mode="after")
    def _agrees(self) -> "Split":
        if self.counted and self.fold >= self.folds:
            raise ValueError(f"expected fold below folds = {self.folds}, got {self.fold}; count from 0")
        return self


class Study(Document):
    """One training, complete: every default filled in."""

    schema_: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    seed: int = 0
    governance: Governance | None = None
    task: Task
    heads: Annotated[tuple[Head, ...], Added] = ()
    model: ModelChoice
    modalities: Modalities
    training: Training = Training()
    federation: Federation = Federation()
    split: Split = Split()
    privacy: Privacy = Privacy()

    @field_validator("heads")
    @classmethod
    def _distinct(cls, heads: tuple[Head, ...]) -> tuple[Head, ...]:
        names = [head.name for head in heads]
        if len(set(names)) != len(names):
            raise ValueError(f"expected distinct names, got {names}; rename one")
        return heads

    @model_validator(mode="after")
    def _agrees(self) -> "Study":
        tasks = [self.task, *(head.task for head in self.heads)]
        use, slides = self.modalities.names, self.modalities.slides
        faults = _disagreements(self.model.architecture, self.model.options, use, slides, tasks)
        strategy, optimizer = self.federation.strategy, self.training.optimizer
        faults += training_faults(strategy, optimizer, self.task.kind)
        if not faults:
            faults = _layer_faults(self.model, self.modalities.names, self.outputs, strategy)
        if isinstance(self.task, DetectionTask):
            faults += _detection_faults(self.training, self.split)
        contradictions([*faults, *_picture_faults(self.model.architecture, tasks, self.modalities.imaging)])
        self._calibrate()
        return self

    def _calibrate(self) -> None:
        """Fill in the noise that the study's epsilon asks for, so that the digest holds it."""
        terms = self.privacy
        if not terms.on or terms.sigma is not None:
            return
        from shared.privacy.calibration import calibrated_sigma  # imports the accountant

        stated = (terms.epsilon, terms.delta, terms.sample_rate, terms.steps_per_round)
        epsilon, delta, rate, steps = (value or 0 for value in stated)  # all there: see stated_faults
        sigma = calibrated_sigma(epsilon, delta, rate, int(steps) * self.training.rounds)
        object.__setattr__(self, "privacy", terms.model_copy(update={"sigma": sigma}))

    @property
    def terms(self) -> Terms | None:
        """The privacy terms, complete; None for a study without differential privacy."""
        stated = self.privacy
        if not stated.on:
            return None
        values = stated.model_dump()
        return Terms(**values, rounds=self.training.rounds)

    @classmethod
    def completed(cls, content: dict[str, Any]) -> dict[str, Any]:
        """With what asking for privacy changes where the study leaves it open."""
        return private_defaults(content)

    @classmethod
    def taught(cls, path: str, value: object, content: dict[str, Any]) -> str | None:
        """Why a key of another tool has no place in a study with privacy on."""
        return taught(path, value, content)

    @classmethod
    def loose_faults(cls, content: dict[str, Any]) -> list[str]:
        """How the sections that are right agree with each other, where others are wrong."""
        from shared.models import ARCHITECTURES  # imports torch

        heads = content["heads"] if isinstance(content.get("heads"), list) else []
        written = [content.get("task"), *(head.get("task") for head in heads if isinstance(head, dict))]
        tasks = [readable(task, Task) for task in written]
        federation, training = (
            readable(content.get(name, {}), kind) for name, kind in (("federation", Federation), ("training", Training))
        )
        faults = []
        model, listed = content.get("model"), content.get("modalities")
        architecture = model.get("architecture") if isinstance(model, dict) else None
        if isinstance(architecture, str) and architecture in ARCHITECTURES and isinstance(listed, dict):
            names = tuple(name for name in MODALITIES if listed.get(name) is not None)
            choice, slides = readable(model, ModelChoice), readable(listed.get("slides"), Slides)
            options = choice.options if choice else None
            faults += _disagreements(architecture, options, names, slides, tasks) if names else []
            if choice and names and federation and not faults:
                faults += _layer_faults(choice, names, _outputs(tasks), federation.strategy)
            if all(tasks):
                faults += _picture_faults(architecture, tasks, readable(listed.get("imaging"), Imaging))
        if tasks[0] and federation and training:
            faults += training_faults(federation.strategy, training.optimizer, tasks[0].kind)
        if isinstance(tasks[0], DetectionTask):
            faults += _detection_faults(training, readable(content.get("split", {}), Split))
        return faults

    def content(self) -> dict[str, Any]:
        """Everything as plain JSON values, defaults included."""
        return self.model_dump(mode="json", by_alias=True)

    def canonical(self) -> str:
        """Canonical JSON, the form in which a study travels."""
        return canonical_json(self.content())

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON without `name`, and without later fields that have their default."""
        return sha256_json({key: value for key, value in digest_content(self).items() if key != "name"})

    @property
    def outputs(self) -> int:
        """Width of the model's output, that of the main task first; 0 while the classes of a task are not known."""
        return _outputs([self.task, *(head.task for head in self.heads)])


def _outputs(tasks: Sequence[ClassificationTask | SurvivalTask | DetectionTask | None]) -> int:
    widths = [task.outputs if task else 0 for task in tasks]
    return sum(widths) if all(widths) else 0


def _disagreements(
    architecture: str,
    options: Mapping[str, Scalar] | None,
    modalities: tuple[str, ...],
    slides: Slides | None,
    tasks: Sequence[ClassificationTask | SurvivalTask | DetectionTask | None],
) -> list[str]:
    """What keeps a model, its inputs and its tasks from each other; None = options or a task that are wrong."""
    from shared.models import about, model_faults  # imports torch
    from shared.models.about import Setting

    if options is None:
        faults = about(architecture).faults(architecture, modalities)
    else:
        setting = Setting(modalities, _outputs(tasks), len(tasks), slides.max_patches if slides else 0)
        faults = model_faults(architecture, options, setting)
    return [f"model: {fault}" for fault in faults]


def _layer_faults(model: ModelChoice, modalities: tuple[str, ...], outputs: int, strategy: str) -> list[str]:
    """What keeps fedbn and fedper from a model that is else without faults; a detector has BatchNorm, and no head."""
    layers = {"fedbn": "normalisation layers", "fedper": "a head"}.get(strategy)
    if layers is None or (model.architecture == "yolo" and strategy == "fedbn"):
        return []
    from shared.weights import keeps_layers  # imports torch

    if model.architecture != "yolo" and keeps_layers(
        model.architecture, model.options, modalities, outputs or 2, strategy
    ):
        return []
    return [
        f"federation.strategy: expected a model with {layers} for {strategy}, by which every hospital keeps its own, "
        f"got {model.architecture} on {', '.join(modalities)} without any; write fedavg, or choose another model"
    ]


def _picture_faults(
    architecture: str, tasks: Sequence[ClassificationTask | SurvivalTask | DetectionTask], imaging: Imaging | None
) -> list[str]:
    """What a task that reads pictures, or the model that does, does not go together with."""
    detects = any(isinstance(task, DetectionTask) for task in tasks)
    faults = []
    if detects != (architecture == "yolo"):
        faults.append(
            f"model: expected architecture yolo for task.kind detection and for no other, got {architecture} for "
            f"{tasks[0].kind}; change one of them"
        )
    if detects and len(tasks) > 1:
        faults.append("heads: expected none beside a detection task, got some; remove them")
    if detects and imaging and imaging != Imaging(max_images=imaging.max_images):
        faults.append(
            "modalities.imaging: expected max_images alone, since a detection study reads the pictures themselves, "
            "got an encoder or crop; remove them"
        )
    return faults


def _detection_faults(training: Training | None, split: Split | None) -> list[str]:
    """What a detection study cannot do; None = a section that is wrong."""
    faults = []
    if training and training.modality_dropout not in (0, Training().modality_dropout):
        faults.append(
            "training.modality_dropout: expected none, since a detection study has one modality, "
            f"got {training.modality_dropout:g}; remove it"
        )
    if split and split.protocol != "holdout":
        faults.append(f'split.protocol: expected "holdout" for a detection study, got {split.protocol!r}; correct it')
    return faults


def read_study(path: Path) -> Study:
    """Read a study file; StudyError lists every fault."""
    return read_toml(path, Study, StudyError)


def parse_study(content: dict[str, Any], source: str = "study") -> Study:
    """Parse a study that came as JSON; StudyError lists every fault."""
    return parse(content, Study, StudyError, source)
