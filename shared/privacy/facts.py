"""What a private training does, as far as its promise hangs on it: the lint's rules are checks of these facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from shared.privacy.accounting import epsilon
from shared.privacy.culprit import named
from shared.privacy.gradients import Losses
from shared.privacy.probe_batch import probe_batch
from shared.privacy.separability import Separability, separability
from shared.privacy.terms import Terms
from shared.study import Study

__all__ = ["FORBIDDEN", "PRIVATE_REPLY", "Facts", "facts_of"]

PRIVATE_REPLY = frozenset({"site", "round", "arrays", "steps", "seconds", "head", "charges"})
"""Fields of a train reply (shared/messages.py) that say nothing of patients, or only what the ledger has charged."""

FORBIDDEN = {
    "MultiheadAttention": "its parameters see several inputs, for which gradients a patient are wrong or missing",
    "DPMultiheadAttention": "with several heads and batch_first it is off by .79 from torch with the same weights",
    "Bilinear": "its parameters see two inputs, for which gradients a patient are missing",
}
"""Class of module -> why no private model holds it (PRIVACY.md section 3, rows 1 and 10)."""


@dataclass(frozen=True)
class Facts:
    """One private training at one site. Words in quotes are those that keep the promise; any other breaks it."""

    terms: Terms
    simulated: bool  # on public data, every artefact stamped NOT PRIVATE where the noise is known
    # noise
    mechanism: str  # "gaussian"
    noise_std: float  # of the noise on a step's sum of clipped gradients, as applied
    noise_at: str  # "every step"
    noise_source: str  # "chacha20", "os-seeded", or "test-seeded" in a simulation
    clipping: str  # "patient": the whole gradient of each patient, all parameters as one vector
    # what leaves and what is noised
    released: frozenset[str]  # tensors of an update
    noised: frozenset[str]  # those that the private optimizer holds
    outside: tuple[str, ...]  # what is computed from patients and updated outside the noisy step
    reply: frozenset[str]  # fields of the train reply that hold something
    recorded_aux: frozenset[str]  # fields of the train reply with an `aux` entry in the ledger
    # cost
    cost: float  # epsilon of the whole run by the accountant of record, add/remove one patient; inf = no bound
    accountant: str  # "pld"
    recorded: str  # "events": what the ledger keeps
    ledger: bool  # opened, and kept from run to run
    engine: str  # "any round": built from study and ledger whenever a site starts
    # steps and patients
    local_epochs: int
    steps_from: str  # "study"
    sampler: str  # "poisson"
    from_patients: tuple[str, ...]  # which of rate, batch, denominator and weights are computed from how many there are
    fitted: tuple[str, ...]  # what is fitted to, or decided by, all private patients together, uncharged
    unit: str  # "patient"
    duplicates: int  # patients that the cohort holds more than once
    bucket: str  # the site's published size, "" = not known
    # the model
    detects: bool  # a detector of lesions, whose loss and layers are known without a look
    batch_norms: tuple[str, ...]  # modules by name and class
    buffers: tuple[str, ...]  # that training changes
    forbidden: tuple[tuple[str, str], ...]  # modules by name and class, and which of FORBIDDEN each is
    separability: Separability


def facts_of(
    study: Study,
    model: nn.Module | None,
    losses: Losses | None,
    *,
    bucket: str = "",
    duplicates: int = 0,
    ledger: bool = True,
    simulated: bool = False,
) -> Facts:
    """The facts of mmfed's own private training of a resolved `study`; dataclasses.replace tells of another.

    Takes 10 to 100 ms for usual models on one core, and a second for `transmil` on 512 patches.

    Parameters
    ----------
    model
        The study's, looked at but not changed; None for a detector, or where its classes are not known yet.
    losses
        (output, batch) -> the loss of each patient (B,), the model's own included; None as for `model`.
    bucket
        The site's published size, such as "20-49"; "" where it is not known.
    duplicates
        Patients that the site's cohort holds more than once.
    ledger
        Whether the site's ledger is open, or will be before patients are read.
    simulated
        In a simulation noise may come from a known seed.

    Raises
    ------
    ValueError
        A study without privacy.
    """
    terms = study.terms
    if terms is None:
        raise ValueError("expected a study with privacy on, got one without; there is nothing to lint")
    expression = study.modalities.expression
    fitted = expression.normalise if expression and expression.normalise != "rank" else ""
    by_all = [f'modalities.expression.normalise = "{fitted}"'] if fitted else []
    by_all += [f'split.by = "{study.split.by}"'] if study.split.by != "patient" else []
    weights = frozenset(name for name, _ in model.named_parameters()) if model else frozenset()
    return Facts(
        terms=terms,
        simulated=simulated,
        mechanism="gaussian",
        noise_std=terms.sigma * terms.clip,
        noise_at="every step",
        noise_source=terms.noise_source,
        clipping="patient",
        released=weights | frozenset(_running(model) if model else ()),
        noised=weights,
        outside=("SCAFFOLD's control variates",) if study.federation.strategy == "scaffold" else (),
        reply=PRIVATE_REPLY,
        recorded_aux=frozenset(),
        cost=epsilon([terms.study], terms.delta),
        accountant="pld",
        recorded="events",
        ledger=ledger,
        engine="any round",
        local_epochs=study.training.local_epochs,
        steps_from="study",
        sampler="poisson",
        from_patients=(),
        fitted=tuple(by_all),
        unit="patient",
        duplicates=duplicates,
        bucket=bucket,
        detects=study.task.kind == "detection",
        batch_norms=tuple(_normalising(model)) if model else (),
        buffers=tuple(_learning_buffers(model)) if model else (),
        forbidden=tuple(_forbidden(model)) if model else (),
        separability=(
            separability(model, losses, *(probe_batch(study, seed) for seed in range(3)))
            if model and losses
            else Separability()
        ),
    )


def _running(model: nn.Module) -> Iterator[str]:
    """Statistics of BatchNorm travel though they are no parameters (shared/weights.py)."""
    return (name for name, _ in model.named_buffers() if name.endswith(("running_mean", "running_var")))


def _normalising(model: nn.Module) -> Iterator[str]:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            yield named(model, name)


def _learning_buffers(model: nn.Module) -> Iterator[str]:
    """Buffers that an optimizer could change; those that a forward pass changes are found by the probe."""
    return (f"{name} with a gradient" for name, buffer in model.named_buffers() if buffer.requires_grad)


def _forbidden(model: nn.Module) -> Iterator[tuple[str, str]]:
    for name, module in model.named_modules():
        kinds = [kind.__name__ for kind in type(module).__mro__ if kind.__name__ in FORBIDDEN]
        if kinds:
            yield named(model, name), kinds[0]
