"""The run folder of a deployed run (CONTRACT.md section 7): model, study, statistics, metrics, hashes."""

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from flwr import __version__ as flwr_version
from numpy.typing import NDArray
from safetensors.numpy import save_file

from server.checkpoint import write_atomically
from server.private_results import privacy_of_sites
from server.rounds import Finished
from shared import __version__
from shared.detection.trained import DETECTOR, told_quality, write_trained
from shared.digests import canonical_json
from shared.metrics import Statistics
from shared.model_card import model_card
from shared.run_folder import MANIFEST, RUN_FILES, ModelInputs, manifest_of
from shared.study import ClassificationTask, DetectionTask, Study
from shared.study_toml import study_toml
from shared.weights import Arrays, is_running

__all__ = [
    "end_run",
    "open_run",
    "public_metrics",
    "read_rounds",
    "save_model",
    "write_manifest",
    "write_results",
    "write_study",
]

UNFINISHED = "unfinished"
UNNAMED = 3  # so many hide one another: each knows its own figures


def open_run(runs: Path, study: Study, run_id: str) -> Path:
    """The folder of this run: an unfinished one of the same study digest, or a new one."""
    for marker in sorted(runs.glob(f"*/{UNFINISHED}")):
        if marker.read_text(encoding="utf-8") == study.digest:
            return marker.parent
    folder = runs / f"{study.name}-{run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    write_study(folder, study)
    write_atomically(folder / UNFINISHED, study.digest.encode())
    return folder


def write_study(folder: Path, study: Study) -> None:
    """Write the resolved study as `study.json`, which programs read, and `study.toml`, which people read."""
    write_atomically(folder / "study.json", study.canonical().encode())
    write_atomically(folder / "study.toml", study_toml(study).encode())


def save_model(folder: Path, arrays: Arrays, gene_statistics: NDArray[np.float64] | None) -> None:
    """Write `model.safetensors` and, where the study has them, `gene_stats.safetensors`."""
    save_file(arrays, folder / "model.safetensors")
    if gene_statistics is not None:
        save_file({"gene_statistics": np.ascontiguousarray(gene_statistics)}, folder / "gene_stats.safetensors")


def write_results(folder: Path, study: Study, finished: Finished) -> None:
    """Write everything a finished deployed run leaves; of a detection study `detector/` too, which sites can name."""
    save_model(folder, finished.arrays, finished.gene_statistics)
    metrics = _metrics(study, finished)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False).encode())
    lines = [canonical_json(record) for record in _published(finished)]
    write_atomically(folder / "events.jsonl", ("\n".join(lines) + "\n").encode())
    public = public_metrics(metrics, finished)
    write_atomically(folder / "model-card.md", model_card(study, public).encode())
    if isinstance(study.task, DetectionTask):
        write_trained(folder / DETECTOR, study, finished.arrays, told_quality(public))
    write_manifest(folder)


def end_run(folder: Path) -> None:
    """A later run of the same study starts anew instead of going on with this one."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """The round records of a finished run."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def write_manifest(folder: Path) -> None:
    """`manifest.json`: the SHA-256 of every file a user of the model relies on."""
    files = {name: (folder / name).read_bytes() for name in RUN_FILES if (folder / name).is_file()}
    write_atomically(folder / MANIFEST, manifest_of(files))


def _metrics(study: Study, finished: Finished) -> dict[str, Any]:
    """metrics.json of a deployment: scores come from mergeable statistics, never from patients."""
    parts = {s: Statistics.from_record(r.evaluation) for s, r in sorted(finished.evaluation.items()) if r.evaluation}
    grades = isinstance(study.task, ClassificationTask) and study.task.ordered
    shown = {site: _values(part, grades) for site, part in parts.items() if finished.greetings[site].per_site_results}
    arm: dict[str, Any] = {"rounds": _published(finished), "sites": shown}
    arm["own"] = _values(reduce(Statistics.merge, parts.values()), grades) if parts else {}
    return {
        "schema": 1,
        "software": {"mmfed": __version__, "flwr": flwr_version},
        "seed": study.seed,
        "study": {
            "name": study.name,
            "digest": study.digest,
            "task": study.task.kind,
            "architecture": study.model.architecture,
            "parameters": int(sum(a.size for name, a in finished.arrays.items() if not is_running(name))),
        },
        "sites": {
            site: {"version": g.version, "encoders": dict(g.encoders), "stain": g.stain, "buckets": dict(g.buckets)}
            for site, g in sorted(finished.greetings.items())
        },
        "inputs": _inputs(study, finished).model_dump(mode="json"),
        "refused": dict(finished.refused),
        "arms": {"federated": arm},
        "privacy": privacy_of_sites(study, finished.greetings, finished.rounds, finished.evaluation),
    }


def _inputs(study: Study, finished: Finished) -> ModelInputs:
    """What the model was trained on; a site that was refused has no say in it."""
    return ModelInputs.of(study, [greeting.encoders for greeting in finished.greetings.values()], finished.rounds)


def public_metrics(metrics: Mapping[str, Any], finished: Finished) -> dict[str, Any]:
    """What of a deployed run's metrics.json other hospitals may see: nothing of a site that keeps its row private.

    Such a site is "a site", numbered. Scores of the others by site are left out while fewer than UNNAMED private sites
    were scored, since theirs could be told from the sum; so is the sum while it is that of fewer. The round records
    and the sites that were refused stay with the coordinator.
    """
    private = _private(finished)
    scored = {site for site, reply in finished.evaluation.items() if reply.evaluation}
    arm = {key: value for key, value in metrics["arms"]["federated"].items() if key != "rounds"}
    if 0 < len(scored & private) < UNNAMED:
        arm["sites"] = {}
        arm["own"] = arm["own"] if len(scored) >= UNNAMED else {}
    names = {site: f"a site ({n})" for n, site in enumerate(sorted(private), 1)}
    kept = {key: value for key, value in metrics.items() if key not in ("sites", "refused", "arms", "privacy")}
    sites = {names.get(site, site): {"buckets": row["buckets"]} for site, row in metrics["sites"].items()}
    privacy = {names.get(site, site): terms for site, terms in metrics["privacy"].items()}
    return {**kept, "sites": sites, "privacy": privacy, "arms": {"federated": arm}}


def _private(finished: Finished) -> frozenset[str]:
    """The sites whose own figures nobody else may see."""
    return frozenset(site for site, greeting in finished.greetings.items() if not greeting.per_site_results)


def _published(finished: Finished) -> list[dict[str, Any]]:
    """The round records without the figures of sites that keep their own row to themselves."""
    private = _private(finished)
    return [
        {**record, "sites": {site: {} if site in private else row for site, row in record["sites"].items()}}
        for record in finished.rounds
    ]


def _values(statistics: Statistics, grades: bool) -> dict[str, Any]:
    """Each metric as a V of the contract; intervals are those of a bootstrap of the counts."""
    common = {"sd": None, "n": statistics.n, "events": statistics.events}
    intervals = statistics.intervals()
    return {
        name: {
            "value": value,
            **dict(zip(("low", "high"), intervals.get(name, (None, None)), strict=True)),
            **common,
            "from": "statistics",
            "reason": None if value is not None else "too few counts",
        }
        for name, value in statistics.result(ordered=grades).items()
    }
