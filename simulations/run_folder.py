"""A run folder is one study's on one cohort: what it holds is looked up before anything is done for another."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from server.checkpoint import write_atomically
from shared.cohort.tables import read_clinical
from shared.digests import sha256_json
from shared.errors import BadInput
from simulations.ready import Ready

__all__ = ["Held", "claim", "held_of", "refuse_other"]

FILE = Path("checkpoints", "run.json")


@dataclass(frozen=True)
class Held:
    """What is run: the study, its digest (protocol and seed among what it covers), and the cohort."""

    study: str
    digest: str
    cohort: str = ""  # by name; "" = not recorded
    patients: str = ""  # SHA-256 of every patient of the cohort with its hospital


def held_of(ready: Ready, cohort: str) -> Held:
    """What a run folder will hold, of a cohort by the name that was given."""
    cases = [
        [case, hospital.id]
        for hospital in ready.everyone
        for case in read_clinical(hospital.folder / "data")["case_id"].tolist()
    ]
    return Held(ready.study.name, ready.study.digest, Path(cohort).resolve().name, sha256_json(sorted(cases)))


def refuse_other(folder: Path | None, run: Held) -> None:
    """BadInput when the folder holds another run, whose results would be lost; a run may go on or be repeated in it."""
    there = None if folder is None else _held(folder)
    if there is None or there in (run, Held(run.study, run.digest)):
        return
    how = ""
    if (there.study, there.cohort) == (run.study, run.cohort):
        how = " with other settings" if there.digest != run.digest else " with other patients or another --split"
    raise BadInput(
        f"--out: expected a new folder, or one of {_told(run)}, got {folder}, which holds {_told(there)}{how}; choose "
        "another --out"
    )


def claim(folder: Path, run: Held) -> None:
    """Make the folder, and write down what it holds."""
    (folder / FILE).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, json.dumps(asdict(run), indent=1).encode())


def _told(run: Held) -> str:
    cohort = f", cohort {run.cohort}" if run.cohort else ""
    return f"{run.study} (digest {run.digest[:12]}{cohort})"


def _held(folder: Path) -> Held | None:
    """What a folder holds, None = no run; of a run that did not write it down, what its metrics tell."""
    try:
        if (folder / FILE).is_file():
            return Held(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        if (folder / "metrics.json").is_file():
            study = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["study"]
            return Held(study["name"], study["digest"])
    except (ValueError, KeyError, TypeError) as exc:
        raise BadInput(
            f"--out: expected a folder of a run, got {folder} with a damaged file; choose another --out"
        ) from exc
    return None
