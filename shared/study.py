"""The study file: the immutable description of one training, and its digest (CONTRACT.md section 1)."""

from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from shared.cohort import MODALITIES
from shared.cohort.genes import groups_digest
from shared.digests import canonical_json, sha256_json
from shared.documents import Added, Document, contradictions, digest_content, parse, read_toml
from shared.encoder_names import ENCODER_WIDTHS, TEXT_ENCODER_WIDTHS
from shared.errors import StudyError
from shared.strategy_names import STRATEGIES

__all__ = [
    "Blood",
    "ClassificationTask",
    "Clinical",
    "Expression",
    "Federation",
    "Governance",
    "Imaging",
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


class ClassificationTask(Document):
    """Predict a class.

    `ordered` (the classes are grades) and `priors` are recorded only; no model of this version uses them.
    """

    kind: Literal["classification"]
    column: str
    classes: tuple[str, ...] = ()
    groups: dict[str, str] = {}
    ordered: bool = False
    priors: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> "ClassificationTask":
        faults = []
        if len(set(self.classes)) != len(self.classes):
            faults.append(f"expected distinct classes, got {list(self.classes)}; remove the repeated one")
        if len(self.classes) == 1:
            faults.append(f"expected at least two classes, got {list(self.classes)}; add the others")
        strangers = sorted(set(self.groups.values()) - set(self.classes)) if self.classes else []
        if strangers:
            faults.append(f"expected groups that lead to a class, got {strangers}; add them to classes")
        if self.priors and (len(self.priors) != len(self.classes) or abs(sum(self.priors) - 1) > 1e-6):
            faults.append(f"expected one prior a class, adding up to 1, got {list(self.priors)}; correct priors")
        contradictions(faults)
        return self


class SurvivalTask(Document):
    """Predict the hazard of each time bin. Times are months; 0 and infinity are implied at the ends."""

    kind: Literal["survival"]
    time_column: str = "os_months"
    event_column: str = "os_event"
    time_edges: Annotated[tuple[float, ...], Field(min_length=1)] = (12.0, 24.0, 60.0)

    @model_validator(mode="after")
    def _agrees(self) -> "SurvivalTask":
        edges = self.time_edges
        if edges[0] <= 0 or any(a >= b for a, b in pairwise(edges)):
            contradictions([f"expected time_edges that rise from above 0, got {list(edges)}; sort them"])
        return self


Task = Annotated[ClassificationTask | SurvivalTask, Field(discriminator="kind")]


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
        """The strategy's options, completed with its defaults, so that the digest holds them."""
        defaults, faults = STRATEGIES[self.strategy], []
        for option in sorted(self.strategy_options.keys() - defaults.keys()):
            close = get_close_matches(option, defaults, n=1)
            known = f"remove it (known here: {', '.join(sorted(defaults)) or 'none'})"
            advice = f"write {close[0]!r}" if close else known
            faults.append(f"expected a strategy option of {self.strategy}, got {option!r}; {advice}")
        contradictions(faults)
        object.__setattr__(self, "strategy_options", defaults | self.strategy_options)
        return self


class Split(Document):
    """How patients are split; `repeat` and `fold` are set by a simulation."""

    protocol: Literal["holdout", "leave-one-site-out"] = "holdout"
    test_fraction: Fraction = 0.3
    repeat: Annotated[int, Field(ge=0)] = 0
    fold: Annotated[int, Field(ge=0)] = 0


class Privacy(Document):
    """Privacy terms. This version trains without differential privacy and says so."""

    mode: Literal["off"] = "off"


class Study(Document):
    """One training, complete: every default filled in."""

    schema_: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    seed: int = 0
    governance: Governance | None = None
    task: Task
    model: ModelChoice
    modalities: Modalities
    training: Training = Training()
    federation: Federation = Federation()
    split: Split = Split()
    privacy: Privacy = Privacy()

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
        """Width of the model's head: bins, classes, or 1 logit for two classes."""
        if isinstance(self.task, SurvivalTask):
            return len(self.task.time_edges) + 1
        return 1 if len(self.task.classes) == 2 else len(self.task.classes)


def read_study(path: Path) -> Study:
    """Read a study file; StudyError lists every fault."""
    return read_toml(path, Study, StudyError)


def parse_study(content: dict[str, Any], source: str = "study") -> Study:
    """Parse a study that came as JSON; StudyError lists every fault."""
    return parse(content, Study, StudyError, source)
