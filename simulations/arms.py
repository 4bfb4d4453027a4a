"""The ways of training that a simulation compares (CONTRACT.md section 7).

Federated, pooled and local start from the same weights, use the same splits, and pass over every training patient as
often. `finetuned` goes on from the federated model for a few rounds more at each site; `personal` is a study of its own
(FedAvg with personal heads), whose digest gives it initial weights of its own.
"""

import base64
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file

import client.app
import server.app
from client.approvals import approve
from client.local_layers import LAYERS
from client.local_state import read_local
from client.prepare.settings import PrepareSettings, store_folder
from client.session import forget_sessions
from client.site_ledger import SIMULATION, open_budget
from client.training import train_round
from server.heads import FILE as HEADS
from server.results import read_rounds
from server.rounds import learning_rate
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.digests import sha256_file, sha256_json
from shared.seeds import derive_seed
from shared.site import read_site
from shared.study import Study
from shared.weights import Arrays, load_arrays, new_model, take_arrays, trainable
from simulations.adapt import override
from simulations.engine import Engine
from simulations.fold import Fold
from simulations.hospitals import Hospital
from simulations.inline import InlineGrid

__all__ = ["ARMS", "Model", "Trained", "federate", "finetune", "inputs_name", "restored", "train_arm"]

FINETUNED_SHARE = 0.1  # of the rounds
PERSONAL = 'federation.strategy="fedper"'


@dataclass(frozen=True)
class Model:
    """Weights, and the gene scale they were trained on."""

    arrays: Arrays
    statistics: GeneStatistics | None


@dataclass(frozen=True)
class Trained:
    """An arm after training: one model for all sites under "", or a model a site, or both (a site's own layers)."""

    models: Mapping[str, Model]
    seconds: float
    rounds: list[dict[str, Any]] = field(default_factory=list)
    ledger_heads: Path | None = None  # what the sites have shown of their ledgers, with privacy on

    def of_site(self, site: str) -> Model:
        """The model that scores a site's own patients."""
        return self.models.get(site) or self.models[""]


def train_federated(fold: Fold, hospitals: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid) -> Trained:
    """The deployment's own ServerApp and ClientApp over the Grid of `engine`. Simulations approve themselves."""
    started, study = time.perf_counter(), fold.study
    members = [hospital for hospital in hospitals if hospital.id in fold.training]
    run, own = federate(study, members, folder / inputs_name(fold, members), engine)
    statistics = run / "gene_stats.safetensors"
    table = GeneStatistics(load_file(statistics)["gene_statistics"]) if statistics.is_file() else None
    model = Model(load_file(run / "model.safetensors"), table)
    # every site scores its own patients with the layers it keeps its own of, everybody else with the average
    models = {site: Model({**model.arrays, **kept}, table) for site, kept in own.items() if kept}
    return Trained({"": model, **models}, time.perf_counter() - started, read_rounds(run), run.parent / HEADS)


def federate(
    study: Study, members: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid
) -> tuple[Path, dict[str, Arrays]]:
    """Train `study` at `members`: the run folder, and what every site keeps its own of, by site.

    Every site keeps a ledger of this training alone, in `folder`: a simulation is charged to nobody's budget.
    """
    if not any(folder.glob("*/checkpoints/*")):  # no round to go on from: ledgers that are there are of another run
        shutil.rmtree(folder / "sites", ignore_errors=True)
        (folder / HEADS).unlink(missing_ok=True)
    own = {h.id: (folder / "sites" / h.id).absolute() for h in members}
    for hospital in members:
        site = read_site(hospital.site_file)
        approve(site, study, SIMULATION, open_budget(site, study, own[hospital.id]))
    run_config = {"study": base64.b64encode(study.canonical().encode()).decode(), "digest": study.digest}
    nodes = {
        h.id: {"site": h.id, "site-file": str(h.site_file.absolute()), "own-folder": str(own[h.id])} for h in members
    }
    grid = engine(client.app.app, nodes, run_config)
    context = Context(
        run_id=1,
        node_id=1,
        node_config={},
        state=RecordDict(),
        run_config={**run_config, "runs": str(folder)},
        series_id=1,
    )
    try:
        server.app.app(grid=grid, context=context)
    finally:
        forget_sessions()  # of every site
    after = study.training.rounds + 1
    layers = {site: read_local(kept, LAYERS, after) for site, kept in own.items()}
    return folder / f"{study.name}-{context.run_id}", layers


def inputs_name(fold: Fold, members: Sequence[Hospital]) -> str:
    """A name for the study and the members' feature stores, so that a run goes on only where nothing has changed."""
    settings = PrepareSettings.of(fold.study)
    stores = {h.id: sha256_file(store_folder(read_site(h.site_file), settings) / "manifest.json") for h in members}
    return sha256_json([fold.study.digest, stores])[:12]


def train_pooled(fold: Fold, hospitals: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid) -> Trained:
    """All training patients in one place: what the federation would be if patients could travel."""
    started = time.perf_counter()
    patients = Patients.concatenate([fold.train(site, fold.statistics) for site in fold.training])
    arrays, rounds = _train_alone(fold.study, patients, "pooled")
    return Trained({"": Model(arrays, fold.statistics)}, time.perf_counter() - started, rounds)


def train_local(fold: Fold, hospitals: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid) -> Trained:
    """Every site by itself, with gene statistics of its own patients only."""
    started = time.perf_counter()
    models, histories = {}, {}
    for site in fold.training:
        statistics = fold.own_statistics(site)
        arrays, histories[site] = _train_alone(fold.study, fold.train(site, statistics), site)
        models[site] = Model(arrays, statistics)
    rounds = [
        {"round": i + 1, "loss": float(np.mean([h[i]["loss"] for h in histories.values()])), "sites": {}}
        for i in range(fold.study.training.rounds)
    ]
    return Trained(models, time.perf_counter() - started, rounds)


def train_personal(fold: Fold, hospitals: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid) -> Trained:
    """FedAvg with personal heads (Arivazhagan et al. 2019, FedPer): strangers are scored by the mean of the heads."""
    return train_federated(replace(fold, study=override(fold.study, (PERSONAL,))), hospitals, folder, engine)


def finetune(fold: Fold, federated: Trained) -> Trained:
    """Every site goes on alone from the federated model, a tenth of the rounds at the last round's learning rate."""
    started, study = time.perf_counter(), fold.study
    last = study.training.rounds
    numbers = range(last + 1, last + 1 + max(1, round(last * FINETUNED_SHARE)))
    models, histories = {}, []
    for site in fold.training:
        common = federated.of_site(site)
        patients = fold.train(site, common.statistics)
        arrays, rounds = _train_alone(study, patients, f"finetuned {site}", numbers, common.arrays)
        models[site] = Model(arrays, common.statistics)
        histories.append([each["loss"] for each in rounds])
    losses = np.mean(histories, axis=0).tolist()
    rounds = [{"round": n, "loss": loss, "sites": {}} for n, loss in zip(numbers, losses, strict=True)]
    return Trained(models, time.perf_counter() - started, rounds)


ARMS: dict[str, Callable[[Fold, Sequence[Hospital], Path, Engine], Trained]] = {
    "federated": train_federated,
    "pooled": train_pooled,
    "local": train_local,
    "finetuned": lambda fold, *where: finetune(fold, train_federated(fold, *where)),
    "personal": train_personal,
}
"""Arm -> how it is trained; the order is that of the reports."""


def train_arm(
    arm: str,
    fold: Fold,
    hospitals: Sequence[Hospital],
    folder: Path,
    federated: Trained | None = None,
    engine: Engine = InlineGrid,
) -> Trained:
    """Train one arm of one fold; `folder` takes its checkpoints, `federated` spares `finetuned` its first part."""
    if arm == "finetuned" and federated:
        return finetune(fold, federated)
    return ARMS[arm](fold, hospitals, folder, engine)


def _train_alone(
    study: Study,
    patients: Patients,
    name: str,
    numbers: Sequence[int] | None = None,
    arrays: Arrays | None = None,
) -> tuple[Arrays, list[dict[str, Any]]]:
    """The rounds of the federation with one participant: the same steps, schedule and fresh optimizer.

    Parameters
    ----------
    numbers
        The rounds, None = all of the study; rounds after the last one have its learning rate.
    arrays
        Weights to start from, None = the study's initial ones.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_model(study).to(device)
    if arrays is not None:
        load_arrays(model, arrays)
    digest, rounds, last = study.digest, [], study.training.rounds
    for round_ in numbers or range(1, last + 1):
        result = train_round(
            model,
            trainable(model),
            patients,
            study,
            learning_rate=learning_rate(study, min(round_, last)),
            seed=derive_seed(digest, name, round_),
        )
        loss = result.loss_sum / (len(patients) * study.training.local_epochs)
        rounds.append({"round": round_, "loss": loss, "sites": {}})
    return take_arrays(model), rounds


def restored(study: Study, model: Model) -> torch.nn.Module:
    """The model with its weights, ready to score."""
    module = new_model(study)
    load_arrays(module, model.arrays)
    return module
