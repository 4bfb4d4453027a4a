"""The run folder of a deployed run (CONTRACT.md section 7): model, study, statistics, metrics, hashes."""

import json
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from flwr import __version__ as flwr_version
from numpy.typing import NDArray
from safetensors.numpy import save_file

from server.checkpoint import write_atomically
from server.rounds import Finished
from shared import __version__
from shared.digests import canonical_json, sha256_file
from shared.metrics import Statistics
from shared.study import Study
from shared.study_toml import study_toml
from shared.weights import Arrays

__all__ = ["NOT_PRIVATE", "open_run", "read_rounds", "save_model", "write_manifest", "write_results"]

UNFINISHED = "unfinished"
NOT_PRIVATE = {"mode": "off", "epsilon": None, "epsilon_replace_one": None, "delta": None}


def open_run(runs: Path, study: Study, run_id: str) -> Path:
    """The folder of this run: an unfinished one of the same study digest, or a new one."""
    for marker in sorted(runs.glob(f"*/{UNFINISHED}")):
        if marker.read_text(encoding="utf-8") == study.digest:
            return marker.parent
    folder = runs / f"{study.name}-{run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "study.json", study.canonical().encode())
    write_atomically(folder / "study.toml", study_toml(study).encode())
    write_atomically(folder / UNFINISHED, study.digest.encode())
    return folder


def save_model(folder: Path, arrays: Arrays, gene_statistics: NDArray[np.float64] | None) -> None:
    """Write `model.safetensors` and, where the study has them, `gene_stats.safetensors`."""
    save_file(arrays, folder / "model.safetensors")
    if gene_statistics is not None:
        save_file({"gene_statistics": np.ascontiguousarray(gene_statistics)}, folder / "gene_stats.safetensors")


def write_results(folder: Path, study: Study, finished: Finished) -> None:
    """Write everything a finished deployed run leaves, and end its unfinished state."""
    save_model(folder, finished.arrays, finished.gene_statistics)
    metrics = _metrics(study, finished)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False).encode())
    lines = [canonical_json(record) for record in _published(finished)]
    write_atomically(folder / "events.jsonl", ("\n".join(lines) + "\n").encode())
    write_manifest(folder)
    (folder / UNFINISHED).unlink(missing_ok=True)


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """The round records of a finished run."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def write_manifest(folder: Path) -> None:
    """`manifest.json`: the SHA-256 of every file a user of the model relies on."""
    names = ("study.json", "study.toml", "model.safetensors", "gene_stats.safetensors", "metrics.json", "events.jsonl")
    hashes = {name: sha256_file(folder / name) for name in names if (folder / name).is_file()}
    write_atomically(folder / "manifest.json", json.dumps({"schema": 1, "files": hashes}, indent=1).encode())


def _metrics(study: Study, finished: Finished) -> dict[str, Any]:
    """metrics.json of a deployment: scores come from mergeable statistics, never from patients."""
    parts = {s: Statistics.from_record(r.evaluation) for s, r in sorted(finished.evaluation.items()) if r.evaluation}
    shown = {site: _values(part) for site, part in parts.items() if finished.greetings[site].per_site_results}
    arm: dict[str, Any] = {"rounds": _published(finished), "sites": shown}
    arm["own"] = _values(reduce(Statistics.merge, parts.values())) if parts else {}
    return {
        "schema": 1,
        "software": {"mmfed": __version__, "flwr": flwr_version},
        "seed": study.seed,
        "study": {
            "name": study.name,
            "digest": study.digest,
            "task": study.task.kind,
            "architecture": study.model.architecture,
            "parameters": int(sum(array.size for array in finished.arrays.values())),
        },
        "sites": {
            site: {"version": g.version, "encoders": dict(g.encoders), "stain": g.stain, "buckets": dict(g.buckets)}
            for site, g in sorted(finished.greetings.items())
        },
        "refused": dict(finished.refused),
        "arms": {"federated": arm},
        "privacy": dict.fromkeys(sorted(finished.greetings), NOT_PRIVATE),
    }


def _published(finished: Finished) -> list[dict[str, Any]]:
    """The round records without the figures of sites that keep their own row to themselves."""
    private = {site for site, greeting in finished.greetings.items() if not greeting.per_site_results}
    return [
        {**record, "sites": {site: {} if site in private else row for site, row in record["sites"].items()}}
        for record in finished.rounds
    ]


def _values(statistics: Statistics) -> dict[str, Any]:
    """Each metric as a V of the contract; without patients there is no interval."""
    common = {"low": None, "high": None, "sd": None, "n": statistics.n, "events": statistics.events}
    return {
        name: {
            "value": value,
            **common,
            "from": "statistics",
            "reason": None if value is not None else "too few counts",
        }
        for name, value in statistics.result().items()
    }
