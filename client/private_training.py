"""One round of training at one site with differential privacy: what changes in `parameters` is all that may leave."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from client.training import inner_optimizer, pull_back
from shared.cohort.batch import Batch, ModelOutput
from shared.cohort.patients import Patients
from shared.errors import WorkFailed
from shared.privacy.entropy import Keys, keys_of
from shared.privacy.gradients import Losses, engine_of
from shared.privacy.noise import Ahead, noise_source
from shared.privacy.optimizer import PrivateOptimizer
from shared.privacy.sampling import poisson_batches
from shared.privacy.step import private_step
from shared.study import Study
from shared.tasks import loss_of

__all__ = ["PrivateResult", "train_privately"]


@dataclass(frozen=True)
class PrivateResult:
    """What may be told of a private round: its steps, a constant of the study. No loss, no count of patients."""

    steps: int


def train_privately(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    patients: Patients,
    study: Study,
    *,
    learning_rate: float,
    proximal_mu: float = 0.0,
    seed: int | None = None,
) -> PrivateResult:
    """Train `parameters` of `model` in place on `patients` for the steps of the study's privacy terms (DP-SGD).

    The round must have been charged before. Everything random comes from the operating system, so no two runs are the
    same. Forward passes, gradients and noise are float32. `training.local_epochs` and `batch_size` play no part.

    Parameters
    ----------
    parameters
        The parameters to change; all others are held fixed, without gradient or noise. They must not depend on who
        the patients are, only on which modalities the site has.
    learning_rate
        Constant within the round.
    proximal_mu
        Weight of FedProx's term. Its gradient depends on no patient and is added after the noise.
    seed
        For `noise_source = "test-seeded"` alone: the same seed gives the same bits, and nothing is private.

    Raises
    ------
    WorkFailed
        A parameter was not finite at the end.
    ValueError
        A study without privacy, or `test-seeded` without a seed.
    """
    terms = study.terms
    if terms is None:
        raise ValueError('expected a study with privacy.mode = "local", got off; train it with train_round')
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    weights = list(parameters.values())
    device, count = weights[0].device, sum(p.numel() for p in weights)
    engine = engine_of(terms.backend, parameters, _longest(patients))
    choices = keys_of(terms.noise_source, seed, "choices")
    generator = torch.Generator().manual_seed(_seed(choices))
    losses, dropped = _losses(study), study.training.modality_dropout
    model.train()
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        Ahead(noise_source(terms.noise_source, seed), count, device, terms.steps_per_round) as noise,
    ):
        # a dropout mask depends on a patient's place in the batch, and so on who else is in it: it must be secret too
        torch.manual_seed(_seed(choices))
        optimizer = PrivateOptimizer(
            inner_optimizer(study.training, weights, learning_rate),
            sigma=terms.sigma,
            clip=terms.clip,
            expected_batch=terms.expected_batch,
            noise=noise,
        )
        if proximal_mu:
            start = [p.detach().clone() for p in weights]
            optimizer.attach_step_hook(lambda _: pull_back(parameters, start, proximal_mu))
        coins = keys_of(terms.noise_source, seed, "sampling")
        for rows in poisson_batches(len(patients), terms.sample_rate, terms.steps_per_round, coins):
            batch = patients.batch(rows, generator=generator, modality_dropout=dropped).to(device)
            private_step(model, parameters, optimizer, batch, losses, engine)
        optimizer.zero_grad(set_to_none=True)
    if not all(torch.isfinite(p).all() for p in weights):
        raise WorkFailed(
            "expected finite parameters after a private round, got others; lower training.learning_rate or privacy.clip"
        )
    return PrivateResult(terms.steps_per_round)


def _seed(keys: Keys) -> int:
    return int.from_bytes(keys()[:8], "little", signed=True)


def _longest(patients: Patients) -> int:
    """Patches in the longest bag a batch can have."""
    return min(max((len(bag) for bag in patients.bags), default=0), patients.max_patches)


def _losses(study: Study) -> Losses:
    task_loss = loss_of(study)

    def losses(output: ModelOutput, batch: Batch) -> Tensor:
        return task_loss(output, batch) + output["aux_loss"]

    return losses
