"""A finished run's folder as the user of its model needs it: every file held against manifest.json, then parsed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load
from torch import nn

from shared.cohort.encoded import named_encoders
from shared.cohort.genes import vocabulary
from shared.cohort.normalise import GeneStatistics
from shared.digests import sha256_bytes
from shared.documents import Document
from shared.errors import BadInput
from shared.study import DetectionTask, Study, parse_study
from shared.weights import Arrays, load_arrays, new_model, travelling

__all__ = ["MANIFEST", "OWN_LAYERS", "RUN_FILES", "ModelInputs", "RunFolder", "manifest_of", "parse_run", "read_run"]

MANIFEST = "manifest.json"
NEEDED = ("study.json", "model.safetensors", "metrics.json")
RUN_FILES = (*NEEDED, "study.toml", "gene_stats.safetensors", "model-card.md", "events.jsonl")
"""The files of a run that manifest.json names, each where it exists."""
OWN_LAYERS = "own-layers.safetensors"
"""What a site adds to a model that it received: the layers it keeps its own of. No manifest names it."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RunManifest(Document):
    """manifest.json: the SHA-256 of every file. It shows damage, not who wrote the files."""

    schema_: Literal[1] = Field(alias="schema")
    files: dict[FileName, Sha256]


class ModelInputs(Document):
    """What patients must be prepared with to be scored by the model of a run: the section `inputs` of metrics.json."""

    encoders: dict[str, str]  # encoded modality -> SHA-256 of the encoder, "" where no training site had it
    stain: str  # stain normalisation of the slides, "" without slides
    genes_sha256: str  # "" without expression
    untrained: tuple[str, ...]  # branches that kept their initial weights in every round

    @classmethod
    def of(cls, study: Study, sites: Iterable[Mapping[str, str]], rounds: Sequence[Mapping[str, Any]]) -> "ModelInputs":
        """The inputs of a run.

        Parameters
        ----------
        sites
            One mapping a training site: encoded modality -> SHA-256 of its encoder, "" where it lacks the modality.
        rounds
            The round records.
        """
        use = study.modalities
        encoded = () if isinstance(study.task, DetectionTask) else tuple(named_encoders(study))
        found = list(sites)
        votes = {name: Counter(site[name] for site in found if site.get(name)) for name in encoded}
        kept = [set(record.get("kept", ())) for record in rounds]
        return cls(
            encoders={name: count.most_common(1)[0][0] if count else "" for name, count in votes.items()},
            stain=use.slides.stain if use.slides else "",
            genes_sha256=use.expression.genes_sha256 if use.expression else "",
            untrained=tuple(sorted(set.intersection(*kept) - {"fusion"})) if kept else (),
        )


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A finished run, ready to score patients."""

    source: str  # where it lies, for messages
    study: Study
    arrays: Arrays
    statistics: GeneStatistics | None  # of the training patients; None where the study uses none of the federation's
    model_sha256: str
    inputs: ModelInputs
    own: Arrays = field(default_factory=dict)  # the site's own layers, where it received the model; else none

    @property
    def name(self) -> str:
        """How people tell models apart: study and eight digits of its digest."""
        return f"{self.study.name}-{self.study.digest[:8]}"

    def model(self) -> nn.Module:
        """The model with its weights, own layers in place of averaged ones; BadInput when they are another study's."""
        module = new_model(self.study)
        wanted = {name: tuple(value.shape) for name, value in travelling(module).items()}
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if shapes != wanted or {name: array.shape for name, array in self.own.items()}.items() - shapes.items():
            raise BadInput(
                f"{self.source}: expected the weights of study {self.study.name}, got another model's; "
                "copy the whole run folder again"
            )
        load_arrays(module, {**self.arrays, **self.own})
        return module.eval()


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """manifest.json for files with these contents."""
    hashes = {name: sha256_bytes(content) for name, content in sorted(files.items())}
    return json.dumps({"schema": 1, "files": hashes}, indent=1).encode()


def _faults(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with a set of files of a run, manifest.json among them: one line each, empty when all is well."""
    if MANIFEST not in files:
        return [f"expected {MANIFEST}, got none; a pooled or unfinished run has no model to use"]
    try:
        listed = RunManifest.model_validate_json(files[MANIFEST]).files
    except ValueError:
        return [f"{MANIFEST}: expected a manifest of schema 1, got another or a damaged one; copy the run folder again"]
    faults = [
        f"{name}: expected it in {MANIFEST}, got none; the run has no model or is of an earlier version: run again"
        for name in NEEDED
        if name not in listed
    ]
    for name in sorted(files.keys() - listed.keys() - {MANIFEST}):
        faults.append(f"{name}: expected only files that {MANIFEST} names, got another; remove it")
    for name, expected in sorted(listed.items()):
        if name not in files:
            faults.append(f"{name}: expected the file that {MANIFEST} names, got none; copy the run folder again")
        elif (got := sha256_bytes(files[name])) != expected:
            faults.append(f"{name}: expected SHA-256 {expected[:12]}, got {got[:12]}; it is damaged: copy it again")
    return faults


def read_run(folder: Path) -> RunFolder:
    """The run in `folder`, every file as its manifest says.

    Raises
    ------
    BadInput
        No folder of a finished run, or a damaged one; the message names every file that is not as it was written.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: expected the folder of a finished run, got none; check the path")
    names = [MANIFEST, *_listed(folder / MANIFEST)]
    files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    run, own = parse_run(files, str(folder)), folder / OWN_LAYERS
    return replace(run, own=_arrays({OWN_LAYERS: own.read_bytes()}, OWN_LAYERS, str(folder))) if own.is_file() else run


def _listed(manifest: Path) -> list[str]:
    """The files that a manifest names; none when it cannot be read, which `_faults` then says."""
    try:
        return list(RunManifest.model_validate_json(manifest.read_bytes()).files)
    except (OSError, ValueError):
        return []


def parse_run(files: Mapping[str, bytes], source: str) -> RunFolder:
    """The run in `files` (name -> content); raises as `read_run`."""
    faults = _faults(files)
    if faults:
        raise BadInput("\n".join(f"{source}: {fault}" for fault in faults))
    study = parse_study(_json(files, "study.json", source), f"{source}: study.json")
    metrics = _json(files, "metrics.json", source)
    section = metrics.get("study")
    if not isinstance(section, dict):
        raise BadInput(
            f"{source}: metrics.json: expected the section study, got none that fits; copy the run folder again"
        )
    digest = section.get("digest")
    if digest != study.digest:
        raise BadInput(
            f"{source}: expected the study with digest {digest}, got {study.digest}: another version of mmfed reads it "
            "otherwise; install the version that made the run, or run the study again"
        )
    return RunFolder(
        source=source,
        study=study,
        arrays=_arrays(files, "model.safetensors", source),
        statistics=_statistics(study, files, source),
        model_sha256=sha256_bytes(files["model.safetensors"]),
        inputs=_inputs(metrics, source),
    )


def _json(files: Mapping[str, bytes], name: str, source: str) -> dict[str, Any]:
    try:
        content = json.loads(files[name])
    except ValueError as exc:
        raise BadInput(f"{source}: {name}: expected JSON, got {exc}; copy the run folder again") from exc
    if not isinstance(content, dict):
        raise BadInput(f"{source}: {name}: expected a JSON object, got another value; copy the run folder again")
    return content


def _inputs(metrics: Mapping[str, Any], source: str) -> ModelInputs:
    try:
        return ModelInputs.model_validate_json(json.dumps(metrics.get("inputs")))
    except ValueError as exc:
        raise BadInput(
            f"{source}: metrics.json: expected the section inputs, got none that fits; the run was made by another "
            "version: run the study again"
        ) from exc


def _arrays(files: Mapping[str, bytes], name: str, source: str) -> Arrays:
    try:
        return dict(load(files[name]))
    except SafetensorError as exc:
        raise BadInput(f"{source}: {name}: expected a safetensors file, got {exc}; copy the run folder again") from exc


def _statistics(study: Study, files: Mapping[str, bytes], source: str) -> GeneStatistics | None:
    expression = study.modalities.expression
    if expression is None or expression.normalise != "federated":
        return None
    name = "gene_stats.safetensors"
    table = _arrays(files, name, source).get("gene_statistics") if name in files else None
    shape = (2, len(vocabulary(expression.groups)))
    if table is None or table.shape != shape or not np.isfinite(table).all():
        raise BadInput(
            f"{source}: {name}: expected gene statistics of shape {shape}, got none; copy the whole run folder"
        )
    return GeneStatistics(table.astype(np.float64))
