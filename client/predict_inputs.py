"""Whether what a site has prepared is what a trained model takes: the same settings, genes, stain and encoders."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.store import FeatureStore, Manifest
from shared.digests import sha256_json
from shared.errors import BadInput
from shared.run_folder import RunFolder
from shared.site import Site

__all__ = ["open_inputs"]


def open_inputs(site: Site, run: RunFolder) -> FeatureStore:
    """The site's finished feature store for the model of `run`, made for this study or for one with equal settings.

    Raises
    ------
    BadInput
        None is there, or its features are of another encoder; everything that differs is named.
    """
    settings = PrepareSettings.of(run.study)
    folder = store_folder(site, settings)
    if not (folder / "manifest.json").is_file():
        raise BadInput(_missing(site, run, settings))
    store = FeatureStore.open(folder)
    faults = [
        f"{modality}: expected features of the encoder with SHA-256 {wanted[:12]}, as the model was trained with, "
        f"got {got[:12]}; use that encoder and run `mmfed-client --site {site.id} prepare` again"
        for modality, wanted in run.inputs.encoders.items()
        if wanted and (got := store.manifest.encoders.get(modality, "")) not in ("", wanted)
    ]
    if faults:
        raise BadInput("\n".join(faults))
    return store


def _missing(site: Site, run: RunFolder, settings: PrepareSettings) -> str:
    """What to do, and in what the nearest of the other stores differs."""
    wanted = settings.content()
    found = [list(_differences(wanted, manifest.settings)) for manifest in _stores(site)]
    nearest = min(found, key=len, default=[])
    text = (
        f"expected patients prepared as model {run.name} takes them, got no such feature store at site {site.id}; "
        f"run `mmfed-client --site {site.id} prepare --study {Path(run.source) / 'study.json'}`"
    )
    return "\n".join([text, *(f"  what is prepared differs: {line}" for line in nearest)])


def _stores(site: Site) -> Iterator[Manifest]:
    for path in sorted((site.state / "store").glob("*/manifest.json")):
        manifest = Manifest.read(path.parent)
        if manifest is not None:
            yield manifest


def _differences(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    """One line a setting; of a modality that one side lacks only that it does."""
    lacking = [name for name in wanted["modalities"] if name not in got.get("modalities", ())]
    if lacking:
        yield f"expected {', '.join(lacking)} too, got a store without"
    if "expression" not in lacking and wanted["genes"] and wanted["genes"] != got.get("genes"):
        yield f"expected gene list {_named(wanted['genes'])}, got {_named(got.get('genes') or [])}"
    for modality in ("slides", "blood", "imaging"):
        ours, theirs = wanted[modality] or {}, got.get(modality) or {}
        for key in sorted(ours.keys() & theirs.keys()):
            if ours[key] != theirs[key]:
                yield f"{modality}.{key}: expected {ours[key]!r}, got {theirs[key]!r}"
    for name in ("aux", "clinical"):
        if name not in lacking and wanted[name] and wanted[name] != got.get(name):
            yield f"expected other {name} columns, got {len(got.get(name) or [])} for {len(wanted[name])}"


def _named(genes: list[str]) -> str:
    return f"{sha256_json(genes)[:12]} of {len(genes)} genes"
