"""One step of private training: the patients' gradients, clipped and added up, released once with noise."""

from collections.abc import Mapping

from torch import nn

from shared.cohort.batch import Batch
from shared.privacy.gradients import Engine, Losses, gradients
from shared.privacy.optimizer import PrivateOptimizer

__all__ = ["private_step"]


def private_step(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    optimizer: PrivateOptimizer,
    batch: Batch,
    losses: Losses,
    engine: Engine,
) -> None:
    """Change `parameters` in place by one noisy step over the patients of `batch`; an empty batch is noise alone.

    Abadi et al. 2016, algorithm 1, with a public denominator. The batch is cut into chunks, never shortened; noise is
    added and the optimizer's step hook called exactly once.

    Parameters
    ----------
    parameters
        The trainable ones, those of `optimizer`.

    Raises
    ------
    RuntimeError
        The optimizer is in mid-step or failed before. Whatever is raised, it can't be used again.
    """
    if not optimizer.between_steps:
        optimizer.fail()
        raise RuntimeError("expected an optimizer between two steps, got one with an unfinished step; make a new one")
    try:
        optimizer.zero_grad(set_to_none=True)
        done = 0
        for chunk in gradients(model, parameters, batch, losses, engine):
            for parameter, sample in zip(parameters.values(), chunk, strict=True):
                parameter.grad_sample = sample  # type: ignore[attr-defined]
            done += len(chunk[0])
            optimizer.signal_skip_step(done < len(batch))
            optimizer.step()
            if done < len(batch):
                optimizer.zero_grad(set_to_none=True)
            del chunk, sample  # or they would stay while the next ones are computed
        if done != len(batch) or not optimizer.between_steps:
            raise RuntimeError("expected one gradient a patient and one release, got others; report it")
    except BaseException:
        optimizer.fail()
        raise
