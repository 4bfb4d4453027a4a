"""Lint of the model and its loss: what makes patients depend on one another, or learns outside the noisy step."""

from collections.abc import Iterator

from shared.privacy.facts import FORBIDDEN, Facts
from shared.privacy.fault import Fault, listed
from shared.privacy.separability import LOSS

__all__ = ["batch_statistics", "coupling_loss", "outside_the_step"]

DETECTOR = 'write privacy.mode = "off" and train the detector on public data'


def batch_statistics(facts: Facts) -> Iterator[Fault]:
    """DP006: layers that carry statistics of a batch, and buffers that training changes."""
    if facts.detects:
        yield Fault(
            "DP006",
            "the detector yolo, which is built on BatchNorm",
            "its running means are computed from all pictures of a batch, without clip or noise",
            DETECTOR,
        )
    if facts.batch_norms:
        yield Fault(
            "DP006",
            listed(facts.batch_norms),
            "it takes mean and variance over the patients of a batch, so that no patient has a gradient of "
            "their own: a resnet50 has 53 such layers, and 0 once GroupNorm is in their place",
            "put GroupNorm or LayerNorm there, or freeze the part and hold it in evaluation mode",
        )
    buffers = (*facts.buffers, *facts.separability.buffers)
    if buffers:
        yield Fault(
            "DP006",
            f"the buffer {listed(buffers)}, which training changes",
            "it is updated from patients outside the noisy step, so that epsilon does not cover what it holds",
            "make it a parameter, a constant, or nothing",
        )


def coupling_loss(facts: Facts) -> Iterator[Fault]:
    """DP009: a loss that is not one number a patient."""
    seen = facts.separability
    if facts.detects:
        yield Fault(
            "DP009",
            "the detector's loss, which is divided by the boxes of its batch",
            "the part of one patient then depends on who else is in the batch, 1 box more or less changes them all",
            DETECTOR,
        )
    if seen.blind:
        yield Fault(
            "DP009",
            "a loss that no number of any patient moves",
            "the probe of 3 random patients then shows nothing, and what is not shown is not promised",
            "let model and loss read the batch they are given",
        )
    if seen.coupled == LOSS:
        what = f"a loss of shape {list(seen.shape)} for 3 patients" if seen.shape is not None else _found(facts)
        yield Fault(
            "DP009",
            what,
            "with C = 1, leaving out one of 32 patients moved the clipped sum of a Cox loss by up to 17.96, where the "
            "noise is made for 1",
            'give one loss a patient: task.kind = "survival" is the discrete-time one',
        )


def outside_the_step(facts: Facts) -> Iterator[Fault]:
    """DP020: operations over the batch inside the model, forbidden layers, and state beside the private optimizer."""
    if facts.outside:
        yield Fault(
            "DP020",
            f"{listed(facts.outside)}, updated outside the noisy step",
            f"they are computed at the site in each of {facts.terms.rounds} rounds and enter the next one's steps or "
            "leave the site, and the accountant knows nothing of them",
            'write federation.strategy = "fedavg", and keep no state beside the private optimizer',
        )
    for name, kind in facts.forbidden:
        yield Fault("DP020", name, FORBIDDEN[kind], "build it of Linear layers, as shared/models/attention.py does")
    coupled = facts.separability.coupled
    if coupled and coupled != LOSS and coupled not in facts.batch_norms:
        yield Fault(
            "DP020",
            _found(facts),
            "one gradient a patient does not exist then, and clipping bounds nothing: an attention scaled by the "
            "batch's maximum was off by 1.47",
            "let it look at one patient at a time: no mean, maximum, prototype or contrast over the batch",
        )


def _found(facts: Facts) -> str:
    seen = facts.separability
    slope = f" by a slope of {seen.slope:.2g}" if seen.slope else ""
    return f"{seen.coupled}, in which other patients move the loss of one{slope}"
