"""A study in plain words, for the person at a hospital who decides about it."""

from collections.abc import Iterator

from shared.cohort.encoded import named_encoders
from shared.privacy.accounting import epsilon
from shared.privacy.budget import Budget
from shared.privacy.report.sentences import certainty, may_fail, rounded_up
from shared.site import Site
from shared.study import Blood, ClassificationTask, DetectionTask, Study, SurvivalTask

__all__ = ["describe"]


def describe(study: Study, site: Site, budget: Budget) -> str:
    """What will be read, what will leave, for how long, under which protection and at what cost; several paragraphs."""
    sections = {
        "Study": _identity(study),
        "What is read at this site": _read(study, site),
        "What leaves this site": _leaves(study, site),
        "What never leaves": list(_stays(study)),
        "How long": _duration(study),
        "Privacy": _privacy(study, budget),
    }
    return "\n\n".join(f"{title}\n" + "\n".join(f"  - {line}" for line in lines) for title, lines in sections.items())


def _identity(study: Study) -> list[str]:
    lines = [f"{study.name}, digest {study.digest}"]
    if study.governance is None:
        return [*lines, "governance: not stated; the coordinator cannot submit it as it is"]
    return [*lines, *(f"{key.replace('_', ' ')}: {value}" for key, value in study.governance.model_dump().items())]


def _read(study: Study, site: Site) -> list[str]:
    task = study.task
    if isinstance(task, DetectionTask):
        most = study.modalities.imaging.max_images if study.modalities.imaging else 0
        return [f"to find lesions: at most {most} clinical images a patient, and the boxes of imaging.csv"]
    heads = [_predicted(head.task, site) for head in study.heads]
    return [_predicted(task, site), *(f"a further task, {goal}" for goal in heads), *_modalities(study)]


def _predicted(task: ClassificationTask | SurvivalTask, site: Site) -> str:
    """What a task predicts, and from which columns it learns."""
    own = [f"{c} (here: {site.columns[c]})" if c in site.columns else c for c in task.columns]
    source = f"{' and '.join(own)} of clinical.tsv"
    if isinstance(task, SurvivalTask):
        return f"to predict survival, in bins cut at {', '.join(f'{e:g}' for e in task.time_edges)} months: {source}"
    others = f"; patients with {', '.join(task.left_out)} are left out" if task.left_out else ""
    return f"to predict one of {', '.join(task.classes)}: {source}{others}"


def _modalities(study: Study) -> Iterator[str]:
    use = study.modalities
    if use.slides:
        s = use.slides
        stain = "" if s.stain == "none" else f", after {s.stain.capitalize()} stain normalisation"
        how = f"turned into {s.dim} numbers each by {s.encoder}, here{stain}"
        yield f"slides: at most {s.max_patches} tiles a patient, {how}"
    if use.expression:
        e = use.expression
        genes = len({gene for group in e.groups.values() for gene in group})
        yield f"expression: {genes} genes in {len(e.groups)} groups" + (f", with {', '.join(e.aux)}" if e.aux else "")
    if use.blood:
        yield f"blood: {_blood(use.blood)}"
    if use.imaging:
        i = use.imaging
        part = "the lesion cut out of" if i.crop else "the whole of"
        yield (
            f"imaging: {part} at most {i.max_images} clinical images a patient, turned into {i.dim} numbers each "
            f"by {i.encoder}, here"
        )
    if use.clinical:
        yield f"clinical: {', '.join(use.clinical.columns)}"


def _blood(blood: Blood) -> str:
    """Which results, and what is made of them."""
    analytes = f"{len(blood.analytes)} analytes ({', '.join(blood.analytes)})"
    if blood.route == "numeric":
        return analytes
    writer = "by a fixed template" if blood.route == "template" else "by this site's own language model"
    return (
        f"{analytes}; results out of range are put into words {writer}, and the words are turned into "
        f"{blood.text_dim} numbers by {blood.text_encoder}, here"
    )


def _stays(study: Study) -> Iterator[str]:
    yield "patient rows, names, identifiers, slides, images, and the text of any error"
    encoded = list(named_encoders(study))
    if encoded:
        yield f"what the encoders here make of each patient's {' and '.join(encoded)}"
    if "blood" in encoded:
        yield "the words that describe a patient's blood results"


def _leaves(study: Study, site: Site) -> Iterator[str]:
    least, size = site.disclosure.min_patients, _size(study)
    if study.privacy.on:
        yield f"the trained numbers of the model ({size}), every round, noise added to each of them here"
        yield "no count of patients but its size bucket and that of each modality, no loss, no training statistics"
        yield "the signed end of this site's privacy ledger, and how often this run has been charged"
    else:
        yield f"the trained numbers of the model ({size}), every round"
        yield "how many training patients have each modality (this site's weight), training steps, the sum of losses"
    if study.modalities.expression and study.modalities.expression.normalise == "federated":
        yield f"once: count, sum and sum of squares of each gene, where at least {least} patients have it"
    when = "once, at the end: " if study.privacy.on else ""
    if site.disclosure.evaluation:
        scores = "counts and histograms of how well the model does on own test patients"
        yield f"{when}{scores}, if they are at least {least}"
    else:
        yield "no test statistics: the site file says disclosure.evaluation = false"


def _duration(study: Study) -> list[str]:
    training, wait, terms = study.training, study.federation.deadline_s, study.terms
    work = f"{training.local_epochs} pass(es) over the patients" if terms is None else f"{terms.steps_per_round} steps"
    return [
        f"{training.rounds} rounds of {work}, and two more messages",
        f"a round waits at most {wait:g} s for this site",
        "until the approval is revoked, the study may be submitted again",
    ]


def _privacy(study: Study, budget: Budget) -> list[str]:
    terms, spent = study.terms, budget.spent()
    if terms is None:
        return [
            "NOT PRIVATE: no noise is added. Who gets the model's numbers may learn something about single patients.",
            f"Nothing is charged; {spent.epsilon:.2f} of {spent.cap:g} is spent here on private studies so far.",
        ]
    if not terms.formal:
        return ["NOT PRIVATE: the noise comes from a known seed, which is for simulations on public data only."]
    after = budget.projected(terms.study)
    alone = epsilon([terms.study], spent.delta)
    exchanged = rounded_up(epsilon([terms.study], spent.delta, "replace_one"))
    before, then = rounded_up(spent.epsilon), rounded_up(after.epsilon)
    lines = [
        f"each patient (all slides, samples and images of one person) moves a step by at most {terms.clip:g}; noise of "
        f"{terms.sigma * terms.clip:.3g} is added to every number of a step, drawn here, known to nobody",
        f"the whole study costs this site an epsilon of {rounded_up(alone)} at delta {spent.delta:g} (a patient is "
        f"there or not); {exchanged} if one patient is exchanged for another",
        f"after it: {certainty(after.epsilon)} {may_fail(spent.delta)}",
        f"spent here so far: {before} of {spent.cap:g}; after this study {then}",
        "a round that would go beyond the cap is refused; each further run of the study is charged again",
    ]
    if after.epsilon > spent.cap:
        lines.append(f"BEYOND THE CAP: about {budget.rounds_left(terms.round)} of {terms.rounds} rounds are left")
    return lines


def _size(study: Study) -> str:
    from shared.weights import message_size  # imports the model's own modules

    count = message_size(study)
    return f"{count:,} of them, {4 * count / 1e6:.1f} MB"
