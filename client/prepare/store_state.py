"""Whether the feature store of a study is there, whole, and up to date with what it was made from."""

from dataclasses import dataclass

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.store import FeatureStore, Manifest
from shared.site import Site

__all__ = ["StoreState", "store_state"]


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
