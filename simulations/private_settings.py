"""What `--epsilon` makes of a study: privacy terms that look at no patient, and the switches that privacy asks for."""

from collections.abc import Sequence

from shared.private_switches import switches
from shared.study import Study

__all__ = ["private_notes", "private_settings"]

SAMPLE_RATE = 0.1
PASSES = 1 / SAMPLE_RATE  # steps in which every patient takes part once on average
BATCH = 16.0
DELTA = 1e-5


def private_settings(study: Study, epsilon: float) -> tuple[str, ...]:
    """`--set` lines that train `study` with differential privacy at `epsilon` a run.

    Terms that the study states stay. The others are public constants: a tenth of the patients a step, as many steps a
    round as make up its local epochs, a denominator of the study's batch size.
    """
    stated, training = study.privacy, study.training
    lines = [] if stated.on else switches(study.content())
    terms: dict[str, object] = {
        "mode": "local",
        "epsilon": epsilon,
        "delta": stated.delta or DELTA,
        "sample_rate": stated.sample_rate or SAMPLE_RATE,
        "steps_per_round": stated.steps_per_round or round(training.local_epochs * PASSES),
        "expected_batch": stated.expected_batch or float(training.batch_size or BATCH),
    }
    inline = ", ".join(
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value!r}" for key, value in terms.items()
    )
    kept = {"clip": stated.clip, "backend": stated.backend, "noise_source": stated.noise_source}
    inline += "".join(f', {key} = "{v}"' if isinstance(v, str) else f", {key} = {v!r}" for key, v in kept.items())
    return (*lines, f"privacy={{ {inline} }}", *(["training.local_epochs=1"] if training.local_epochs != 1 else []))


def private_notes(study: Study, strategies: Sequence[str] = ()) -> list[str]:
    """Sentences that every reader of a private simulation needs; `strategies` are further ones of the run."""
    terms = study.terms
    if terms is None:
        return []
    notes = [
        "Federated training (the arms federated, personal and iid) has differential privacy; pooled, local and "
        "fine-tuned models have none and show what it costs.",
        "Simulated hospitals approve the study themselves, and each training keeps a ledger of its own: at real "
        "hospitals every repeat, fold and trial would be charged to one budget.",
    ]
    if strategies:
        notes.append(
            f"The further strategies ({', '.join(strategies)}) have differential privacy too: each is one more "
            "training, which real hospitals would be charged for beside the federated arm's."
        )
    if not terms.formal:
        notes.append("NOT PRIVATE: the noise came from a known seed.")
    return notes
