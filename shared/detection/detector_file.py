"""A trained lesion detector on disk: detector.toml and model.safetensors in one folder; opening it runs no code."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared.cohort.drafts import replacing
from shared.detection.networks import ARCHITECTURE
from shared.digests import sha256_file
from shared.documents import Document, read_toml
from shared.errors import SiteFileError

__all__ = ["CARD", "WEIGHTS", "DetectorCard", "Quality", "read_detector", "write_detector"]

CARD, WEIGHTS = "detector.toml", "model.safetensors"


class Quality(Document):
    """How well a detector found the lesions of patients it did not learn from; each number in [0, 1], larger better.

    `map50` and `map50_95` are average precisions at an overlap (IoU) of .5 and over .5, .55 ... .95; `recall_25` the
    share of lesions found at confidence .25 and overlap .5.
    """

    map50: float
    map50_95: float
    recall_25: float
    images: int | None = None  # like boxes, unknown where hospitals tell scores alone
    boxes: int | None = None
    patients: int


class DetectorCard(Document):
    """detector.toml: all that is needed to rebuild the network, and where it comes from. Names no patient."""

    schema_: Literal[1] = Field(alias="schema", default=1)
    architecture: Annotated[str, Field(pattern=rf"^{ARCHITECTURE}$")]
    image_size: Annotated[int, Field(ge=32)]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    weights_sha256: str
    quality: Quality | None = None  # None: nobody has judged it, or nobody may tell
    training: dict[str, int | str]
    software: dict[str, str]


def write_detector(folder: Path, card: DetectorCard, weights: dict[str, Tensor]) -> None:
    """Write the folder, the card last; `weights_sha256` of `card` is filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)  # a new network never stands beside the old card
    with replacing(folder / WEIGHTS) as draft:
        save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, draft)
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    with replacing(folder / CARD) as draft:
        draft.write_text(_toml(card), encoding="utf-8")


def read_detector(folder: Path) -> tuple[DetectorCard, dict[str, Tensor]]:
    """Read what `write_detector` wrote.

    Raises
    ------
    SiteFileError
        A file is missing or damaged, or the weights are not those of the card.
    """
    card = read_toml(folder / CARD, DetectorCard, SiteFileError)
    path = folder / WEIGHTS
    try:
        if sha256_file(path) == card.weights_sha256:
            return card, load_file(path)
        got = "another file"
    except OSError as exc:
        got = str(exc.strerror)
    except SafetensorError as exc:
        got = f"a damaged file ({exc})"
    raise SiteFileError(f"{path}: expected the weights that {CARD} describes, got {got}; run train-detector again")


def _toml(card: DetectorCard) -> str:
    content = card.model_dump(mode="json", by_alias=True, exclude_none=True)
    plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
