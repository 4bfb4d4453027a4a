"""The site file: a hospital's own settings, which no study overrides (CONTRACT.md section 2)."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from shared.documents import Document, contradictions, read_toml
from shared.errors import SiteFileError

__all__ = ["ColumnRule", "Site", "read_site"]


class Identity(Document):
    """Who the site is and where its folders lie, relative to the site file."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
    name: str = ""
    data: str = "data/"
    state: str = "state/"


class Superlink(Document):
    """How to reach the coordinator. Paths are relative to the site file."""

    address: Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]
    root_certificates: str
    private_key: str


class Compute(Document):
    """The machine this site gives. `precision` and `engine` are those of frozen encoders.

    Training computes in fp32 on a CPU, where bf16 has no effect on it; on a GPU its forward pass follows `precision`,
    `auto` being bf16 where the GPU has it in hardware. For encoders `auto` is bf16 where the processor has it in
    hardware and features stay close enough to fp32, else fp32.
    `auto` engine is OpenVINO on a CPU where it is installed, else torch.
    """

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    engine: Literal["auto", "torch", "openvino"] = "auto"
    workers: Annotated[int, Field(ge=1, le=64)] = 2


Positive = Annotated[float, Field(gt=0)]


class EncoderFile(Document):
    """`[encoders.NAME]`: where this site keeps the weights of the encoder that a study calls NAME.

    `path` is a file (torchvision's own .pth, .safetensors, TorchScript .pt) or, for a transformers model, its folder;
    relative to the site file. `architecture` names the builder of a safetensors file (a torchvision model, or
    `timm:NAME`). `mean` and `std` of RGB in [0, 1] are the model's own unless written, and ImageNet's where it states
    none. TorchScript runs code, so it is only opened when `sha256` is written and fits.
    """

    path: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    architecture: str = ""
    mean: tuple[float, float, float] | None = None
    std: tuple[Positive, Positive, Positive] | None = None


class ImportedFeatures(Document):
    """`[features]`: which encoder made the files under data/features/slides, written by CLAM, TRIDENT or mmfed.

    `encoder_sha256` must be written: by it alone sites notice that their features come from different weights.
    """

    encoder: str
    encoder_sha256: Annotated[str, Field(validate_default=True)] = ""

    @field_validator("encoder_sha256")
    @classmethod
    def _known_weights(cls, sha256: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(
                "expected the SHA-256 (64 hex digits, lower case) of the weight file that made the features, got "
                f"{sha256[:70]!r}; ask whoever extracted them for the weight file, and write what sha256sum says of it"
            )
        return sha256


class PrivacyCap(Document):
    """The most this site will ever spend, over all studies, runs and tasks.

    `signer` is a command that signs the ledger in the name of another user of this machine: sudo, and then
    `python -m shared.privacy.sign --key FILE` (deploy/README.md). Without it the key lies in the state folder.
    """

    epsilon_cap: Annotated[float, Field(gt=0)] = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    signer: tuple[str, ...] = ()


class Disclosure(Document):
    """What may leave: nothing about fewer than `min_patients` patients."""

    min_patients: Annotated[int, Field(ge=1)] = 10
    evaluation: bool = True
    per_site_results: bool = True


class ExpressionScale(Document):
    """The scale of the site's expression table, which decides the public input range, and how its genes are named.

    `ensembl` is a table (tab-separated: Ensembl id, symbol) and `aliases` another (old name, symbol), both relative
    to the site file. Rows that end up with one symbol are merged as `duplicates` says.
    """

    scale: Literal["tpm", "counts", "log2", "z"] = "log2"
    ensembl: str = ""
    aliases: str = ""
    duplicates: Literal["mean", "max", "first"] = "mean"


class BloodRules(Document):
    """`[blood]`: the site's own reference intervals, and its language model.

    `intervals` is a table (analyte, unit, sex, age_low, age_high, ref_low, ref_high), used where a row states none;
    `llm` the folder of a transformers causal model for route `local_llm`. Both relative to the site file.
    """

    intervals: str = ""
    llm: str = ""


class ImagingRules(Document):
    """`[imaging]`: the lesion detector, relative to the site file.

    `detector` is a folder that `train-detector` wrote, or an ultralytics .pt file; the latter runs code, so it is only
    opened when `detector_sha256` is written and fits. Boxes below `confidence` are not lesions.
    """

    detector: str = ""
    detector_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.25


class Retention(Document):
    """Days after which features and logs are deleted. Only 0, keep them: this version deletes nothing by itself."""

    features_days: Annotated[int, Field(ge=0)] = 0
    logs_days: Annotated[int, Field(ge=0)] = 0

    @field_validator("features_days", "logs_days")
    @classmethod
    def _kept(cls, days: int) -> int:
        if days:
            raise ValueError(
                f"expected 0, since this version deletes nothing by itself, got {days}; "
                "write 0, and delete old files of the state folder by a job of your own"
            )
        return days


RULE = re.compile(r"^\s*(?P<name>[^\s*/][^*/]*?)\s*(?:(?P<operator>[*/])\s*(?P<number>\d+(?:\.\d+)?))?\s*$")


class ColumnRule(Document):
    """One `[columns]` line: the site's own column, and the factor that turns its unit into the study's."""

    source: str
    factor: float = 1.0

    @classmethod
    def read(cls, text: str) -> "ColumnRule":
        """Parse NAME, NAME / NUMBER or NAME * NUMBER; ValueError otherwise."""
        match = RULE.match(text)
        number = float(match["number"]) if match and match["number"] else 1.0
        if not match or number == 0:
            raise ValueError(f'expected NAME, NAME / NUMBER or NAME * NUMBER, got {text!r}; write e.g. "days / 30.44"')
        return cls(source=match["name"], factor=1 / number if match["operator"] == "/" else number)


class Site(Document):
    """One hospital."""

    schema_: Literal[1] = Field(alias="schema")
    site: Identity
    superlink: Superlink | None = None
    compute: Compute = Compute()
    privacy: PrivacyCap = PrivacyCap()
    disclosure: Disclosure = Disclosure()
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    expression: ExpressionScale = ExpressionScale()
    blood: BloodRules = BloodRules()
    imaging: ImagingRules = ImagingRules()
    encoders: dict[str, EncoderFile] = {}
    features: ImportedFeatures | None = None
    retention: Retention = Retention()
    _folder: Path = PrivateAttr(default=Path())

    @field_validator("columns")
    @classmethod
    def _rules(cls, columns: dict[str, str]) -> dict[str, str]:
        faults = []
        for name, text in columns.items():
            try:
                ColumnRule.read(text)
            except ValueError as exc:
                faults.append(f"{name}: {exc}")
        contradictions(faults)
        return columns

    @model_validator(mode="after")
    def _agrees(self) -> "Site":
        if Path(self.site.data) == Path(self.site.state):
            contradictions([f"expected data and state in two folders, got {self.site.data!r} twice; change one"])
        return self

    @property
    def id(self) -> str:
        """The site's name in every message and report."""
        return self.site.id

    @property
    def data(self) -> Path:
        """Folder of the hospital's files, in the shape of a cohort folder."""
        return self._folder / self.site.data

    @property
    def state(self) -> Path:
        """Folder of everything mmfed writes at this site."""
        return self._folder / self.site.state

    def path(self, written: str) -> Path:
        """A path from the site file, made absolute."""
        return self._folder / written

    def column_rule(self, name: str) -> ColumnRule:
        """Where the study's column `name` comes from at this site."""
        return ColumnRule.read(self.columns[name]) if name in self.columns else ColumnRule(source=name)


def read_site(path: Path) -> Site:
    """Read a site file; SiteFileError lists every fault, a missing data folder among them."""
    site = read_toml(path, Site, SiteFileError)
    site._folder = path.resolve().parent
    if not site.data.is_dir():
        raise SiteFileError(
            f"{path}: site.data: expected an existing folder, got {site.site.data!r}; create it or correct it"
        )
    return site
