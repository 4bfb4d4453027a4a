"""The consortium's privacy budget report of one run, made from its run folder after every round and on demand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from server.checkpoint import read_checkpoint
from server.heads import FILE as HEADS
from server.heads import Heads
from server.private_results import charges_of
from shared.errors import BadInput
from shared.messages import bucket
from shared.privacy.report import RunFacts, SiteRow, consortium_report, write_reports
from shared.privacy.signer import KeyFile
from shared.study import Study, parse_study

__all__ = ["run_facts", "write_run_report"]

KEY = "report.key"


def write_run_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Write privacy-report.json, .html and .pdf of the run in `folder` into `out` (default: the same); their paths.

    The ledger heads of a deployment, and the key that signs its reports, lie beside the run folders. A simulated run
    has its own heads in its folder, and its report is not signed.

    Raises
    ------
    BadInput
        The folder holds no run.
    """
    simulated = (folder / HEADS).is_file()
    facts = run_facts(folder, Heads((folder if simulated else folder.parent) / HEADS))
    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    signer = None if simulated else KeyFile.make(folder.parent / KEY)
    return write_reports(consortium_report(facts, signer=signer), target)


def run_facts(folder: Path, heads: Heads) -> RunFacts:
    """What the coordinator knows of a run: of a finished one from metrics.json, else from its last checkpoint."""
    study = _study(folder)
    metrics = folder / "metrics.json"
    if metrics.is_file():
        told = _finished(json.loads(metrics.read_bytes()))
    else:
        told = _unfinished(study, folder / "checkpoints")
    shown = heads.last() if study.privacy.on else {}
    rows = []
    for site in sorted({*told["buckets"], *told["charges"], *told["refused"]}):
        head = shown.get(site)
        rows.append(
            SiteRow(
                site=site,
                charges=told["charges"].get(site, 0),
                bucket=told["buckets"].get(site, ""),
                head_seq=head.seq if head else 0,
                head_hash=head.hash if head else "",
                head_verified=head is not None,  # Heads takes no other
                scored=site in told["scored"],
                refused=told["refused"].get(site, "").split(":")[0],
            )
        )
    return RunFacts(folder.name, study, tuple(rows), _tensors(folder / "model.safetensors"))


def _study(folder: Path) -> Study:
    path = folder / "study.json"
    if not path.is_file():
        raise BadInput(f"{folder}: expected the folder of a run, got no study.json there; name one of runs/")
    return parse_study(json.loads(path.read_bytes()), source=str(path))


def _finished(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of metrics.json, of a deployment or of a simulation."""
    buckets = {site: one["buckets"].get("fusion", "") for site, one in metrics.get("sites", {}).items()}
    simulated = metrics.get("cohort", {}).get("sites", {})
    return {
        "buckets": buckets or {site: bucket(simulated[site]["train"]) for site in metrics["privacy"]},
        "charges": {site: one.get("charges", 0) for site, one in metrics["privacy"].items()},
        "refused": metrics.get("refused", {}),
        # a site may have sent statistics and keep its own row private: then all that took part count as scored
        "scored": set(metrics["privacy"]) if metrics["arms"].get("federated", {}).get("own") else set(),
    }


def _unfinished(study: Study, checkpoints: Path) -> dict[str, Any]:
    found = read_checkpoint(checkpoints, study.digest)
    greetings = found.greetings if found else {}
    return {
        "buckets": {site: one["buckets"].get("fusion", "") for site, one in greetings.items()},
        "charges": charges_of(found.rounds) if found and study.privacy.on else {},
        "refused": {},
        "scored": set(),
    }


def _tensors(model: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of everything that travels; nothing before the run has ended."""
    if not model.is_file():
        return {}
    with safe_open(model, framework="np") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
