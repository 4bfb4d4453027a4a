"""Run folders of models that were never trained: as `predict` takes them, made in milliseconds."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from server.results import save_model, write_manifest, write_study
from shared.cohort.genes import vocabulary
from shared.run_folder import ModelInputs
from shared.study import Study
from shared.weights import new_model, take_arrays


def finished_run(
    folder: Path, study: Study, encoders: Mapping[str, str] | None = None, untrained: tuple[str, ...] = ()
) -> Path:
    """A whole run folder: weights drawn at random, genes on the scale of mean 5 and deviation 2."""
    folder.mkdir(parents=True, exist_ok=True)
    write_study(folder, study)
    expression = study.modalities.expression
    genes = len(vocabulary(expression.groups)) if expression else 0
    table = np.stack([np.full(genes, 5.0), np.full(genes, 2.0)]) if genes else None
    rng = np.random.default_rng(0)  # some models start with zeros
    drawn = {n: rng.normal(0, 0.3, a.shape).astype(np.float32) for n, a in take_arrays(new_model(study)).items()}
    save_model(folder, drawn, table)
    inputs = ModelInputs.of(study, [encoders or {}], [{"kept": untrained}])
    metrics = {"study": {"digest": study.digest}, "inputs": inputs.model_dump(mode="json")}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    write_manifest(folder)
    return folder
