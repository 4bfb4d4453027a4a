"""Whether the feature store of a study is there, whole, and up to date with what it was made from."""

import csv
from dataclasses import dataclass
from pathlib import Path

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.store import FeatureStore, Manifest
from shared.site import Site

__all__ = ["StoreState", "patients_held", "store_state"]


@dataclass(frozen=True)
class StoreState:
    """One sentence, and whether the store is damaged."""

    line: str
    damaged: bool = False


def store_state(site: Site, settings: PrepareSettings) -> StoreState:
    """Compare every file of the store with the hash in its manifest; nothing is changed."""
    folder = store_folder(site, settings)
    manifest = Manifest.read(folder)  # CohortError when it is damaged
    if manifest is None:
        return StoreState("feature store: not there yet; run `prepare`")
    faults = FeatureStore.faults(folder)
    if faults:
        return StoreState(
            f"feature store: expected {len(manifest.files)} files as they were written, got {len(faults)} changed or "
            "missing; run `prepare`, which makes them again",
            damaged=True,
        )
    return StoreState(f"feature store: finished, all {len(manifest.files)} files as they were written")


def patients_held(folder: Path, modalities: tuple[str, ...]) -> tuple[int, dict[str, int]]:
    """The patients of a finished store, and how many of them have each modality."""
    with (folder / "patients.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return len(rows), {name: sum(not row[f"absent_{name}"] for row in rows) for name in modalities}
