"""A federation without messages or ledgers, for trying settings on generated patients.

The training is the sites' own and the average the coordinator's with equal weights, so a setting is as good here as in
a federation. Nothing here is charged to anybody: use it on public data only.
"""

import time

import numpy as np
import torch

from client.private_training import train_privately
from client.training import train_round
from server.rounds import learning_rate
from shared.seeds import derive_seed
from shared.weights import Arrays, load_arrays, new_model, take_arrays, trainable
from simulations.arms import Model, Trained
from simulations.fold import Fold

__all__ = ["train_in_memory"]


def train_in_memory(fold: Fold) -> Trained:
    """Federated averaging with equal weights over the fold's training sites, private where the study is."""
    started, study = time.perf_counter(), fold.study
    model = new_model(study).to("cuda" if torch.cuda.is_available() else "cpu")
    patients = {site: fold.train(site, fold.statistics) for site in fold.training}
    arrays = _copied(take_arrays(model))
    for round_ in range(1, study.training.rounds + 1):
        rate, replies = learning_rate(study, round_), []
        for site, part in patients.items():
            load_arrays(model, arrays)
            if study.privacy.on:
                train_privately(model, trainable(model), part, study, learning_rate=rate)
            else:
                seed = derive_seed(study.digest, site, round_)
                train_round(model, trainable(model), part, study, learning_rate=rate, seed=seed)
            replies.append(_copied(take_arrays(model)))
        arrays = {name: np.mean([reply[name] for reply in replies], axis=0, dtype=np.float32) for name in arrays}
    return Trained({"": Model(arrays, fold.statistics)}, time.perf_counter() - started)


def _copied(arrays: Arrays) -> Arrays:
    return {name: np.array(array) for name, array in arrays.items()}
