"""model-card.md: what a trained model is, for whom, how good and with which limits (Mitchell et al. 2019, FAT*).

Made from the study and from metrics.json alone, of a simulation or of a deployment; it names no patient.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.cohort.encoded import named_encoders
from shared.cohort.genes import vocabulary
from shared.metrics import LOWER_IS_BETTER
from shared.models import about
from shared.privacy.report.sentences import rounded_up
from shared.study import ClassificationTask, DetectionTask, Study, SurvivalTask, Task

__all__ = ["model_card"]

Metrics = Mapping[str, Any]
USE = (
    "**Research use only.** Not a medical device: not for the diagnosis, prognosis or treatment of any person. "
    "Nobody has examined this model for clinical use."
)
NOT_PRIVATE = (
    "**NOT PRIVATE: trained without differential privacy.** The weights may tell something about single patients."
)
AGPL = (
    "The detector is a network of ultralytics, which is AGPL-3.0: whoever passes on these weights, or offers them as a "
    "service, must meet that licence or hold another one from its makers."
)
WORDS = {"auc": "AUC", "pr_auc": "PR-AUC", "micro_auc": "AUC, micro", "mcc": "Matthews correlation", "ece": "ECE"}
WORDS |= {"c_index": "c-index", "c_index_within_site": "c-index within sites", "ipcw_c_index": "c-index, IPCW"}
WORDS |= {
    "ibs": "Integrated Brier score",
    "f1": "F1",
    "macro_f1": "F1, macro",
    "map50": "mAP@.5",
    "map50_95": "mAP@.5:.95",
    "recall_25": "Lesions found at confidence .25",
}
FIRST = ("auc", "c_index", "map50")  # the metric by which sites, subsets and floors are compared
PLACES = {"own": "Own test patients", "own_site_mean": "Own, mean of sites", "unseen": "Unseen hospitals"}
HEADS_AT = ("own", "unseen")
IN_TURN = ("leave-one-site-out", "preserved-site-kfold")
FEW_PATIENTS = 100
FEW_EVENTS = 30


def model_card(study: Study, metrics: Metrics) -> str:
    """The card as Markdown.

    Parameters
    ----------
    study
        The resolved study of the run.
    metrics
        The content of metrics.json; of a deployment only what other hospitals may see. The arm `federated` is the
        model's.
    """
    arm = metrics["arms"].get("federated", {})
    parts = [
        f"# Model card: {study.name}",
        f"> {USE}",
        _section("Model", _model(study, metrics)),
        _section("Intended use", _intended(study)),
        _section("Inputs", _inputs(study, metrics)),
        _section("Training data", _training(study, metrics)),
        _section("Performance", _performance(study, metrics, arm)),
        _section("Privacy", _privacy(metrics)),
        _section("Limits", _bullets(_limits(study, metrics, arm))),
        _section("Licence", AGPL) if isinstance(study.task, DetectionTask) else "",
        _section("Software", ", ".join(f"{name} {version}" for name, version in metrics["software"].items()) + "."),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _model(study: Study, metrics: Metrics) -> str:
    described = about(study.model.architecture)
    rows = [
        ("Study", f"`{study.name}`, digest `{study.digest}`"),
        ("Architecture", f"`{study.model.architecture}`: {described.summary} ({described.reference})"),
        ("Parameters", f"{metrics['study']['parameters']:,}"),
        ("Task", _task(study.task)),
        (
            "Training",
            f"{study.training.rounds} rounds of {study.federation.strategy} over hospitals, seed {study.seed}",
        ),
    ]
    rows[4:4] = [(f"Further head `{head.name}`", f"{_task(head.task)}; weight {head.weight:g}") for head in study.heads]
    if study.governance:
        rows += [("Purpose", study.governance.purpose), ("Controller", study.governance.controller)]
        rows += [("Contact", study.governance.contact), ("Ethics", study.governance.ethics_reference)]
    return _table(("", ""), rows)


def _task(task: Task) -> str:
    if isinstance(task, ClassificationTask):
        return f"classification of {task.column}: {', '.join(task.classes)}"
    if isinstance(task, SurvivalTask):
        edges = ", ".join(f"{edge:g}" for edge in task.time_edges)
        return f"survival in time bins that end after {edges} months; risk: higher = dies earlier"
    return "detection of lesions on clinical images: boxes of one class"


def _intended(study: Study) -> str:
    use = "find" if isinstance(study.task, DetectionTask) else "score"
    return (
        f"To {use} patients like those of the training hospitals for research, beside the judgement of people who know "
        "the data; to compare hospitals, models and ways of training. Not to decide about a patient, not for patients "
        "unlike those below, and not with inputs prepared in another way than below."
    )


def _inputs(study: Study, metrics: Metrics) -> str:
    needs = about(study.model.architecture).needs
    hashes = {**named_encoders(study), **(metrics.get("inputs") or {}).get("encoders", {})}
    rows = []
    for name in study.modalities.names:
        role = "the model is made for it; may be absent for a patient" if name in needs else "optional"
        rows.append((name, role, _prepared(study, name, hashes.get(name, ""))))
    text = _table(("Modality", "Needed", "Prepared as"), rows)
    if isinstance(study.task, DetectionTask):
        return text
    return f"{text}\n\nA patient needs at least one of these modalities; any other may be absent."


def _prepared(study: Study, name: str, sha: str) -> str:
    """How a modality becomes numbers, in words."""
    use = study.modalities
    weights = f", weights SHA-256 `{sha}`" if sha else ", weights not recorded: no training hospital had it"
    if name == "slides" and use.slides:
        tile = f"tiles of {use.slides.tile} px at {use.slides.mpp:g} µm/px, at most {use.slides.max_patches} a patient"
        return f"{tile}, stain normalisation {use.slides.stain}; encoder {use.slides.encoder}{weights}"
    if name == "expression" and use.expression:
        genes = f"{len(vocabulary(use.expression.groups))} genes in {len(use.expression.groups)} groups"
        aux = (
            f", {len(use.expression.aux_columns)} mutation and copy-number columns"
            if use.expression.aux_columns
            else ""
        )
        return (
            f"{genes}{aux}, normalised: {use.expression.normalise}; gene list SHA-256 `{use.expression.genes_sha256}`"
        )
    if name == "blood" and use.blood:
        if use.blood.route == "numeric":
            return f"{len(use.blood.analytes)} analytes as distances to their reference intervals"
        return f"results described in words ({use.blood.route}); text encoder {use.blood.text_encoder}{weights}"
    if name == "imaging" and use.imaging:
        if isinstance(study.task, DetectionTask):
            return "whole clinical images"
        crop = ", cut to the lesion" if use.imaging.crop else ""
        return f"at most {use.imaging.max_images} images a patient{crop}; encoder {use.imaging.encoder}{weights}"
    return ", ".join(use.clinical.columns) if use.clinical else ""


def _training(study: Study, metrics: Metrics) -> str:
    if "cohort" not in metrics:  # a deployment: sizes leave a hospital in buckets only
        branches = [*study.modalities.names, "fusion"]
        rows = [
            (site, *(row["buckets"].get(branch, "none") for branch in branches))
            for site, row in metrics.get("sites", {}).items()
        ]
        text = "Training patients of each hospital, in buckets; a hospital that keeps its own row private is “a site”."
        return f"{text}\n\n" + _table(("Hospital", *study.modalities.names, "all"), rows)
    cohort = metrics["cohort"]
    names = [*study.modalities.names]
    rows = [
        (site, row.get("patients", "–"), row.get("train", "–"), row.get("test", "–"))
        + tuple((row.get("modalities") or {}).get(name, "–") for name in names)
        for site, row in cohort.get("sites", {}).items()
    ]
    total = ("all", *(sum(int(row[i]) for row in rows if str(row[i]).isdigit()) for i in range(1, 4 + len(names))))
    text = "Patients of the hospitals that trained the model, and how many of them have each modality.\n\n"
    text += _table(("Hospital", "patients", "training", "test", *names), [*rows, total])
    unseen = cohort.get("unseen") or {}
    if unseen.get("patients"):
        text += (
            f"\n\nNever trained on: {unseen['patients']} patients of {_count(unseen.get('sites'), 'other hospital')}."
        )
    if cohort.get("excluded"):
        gone = ", ".join(f"{reason} ({n})" for reason, n in cohort["excluded"].items())
        text += f"\n\nLeft out: {gone}."
    return text


def _performance(study: Study, metrics: Metrics, arm: Metrics) -> str:
    places = [place for place in PLACES if arm.get(place)]
    heads = _heads(study, arm)
    if not places:
        none = "Not measured: no hospital let test statistics leave, or too few test patients were there."
        return "\n\n".join(part for part in (none, heads) if part)
    names = list(dict.fromkeys(name for place in places for name in arm[place]))
    rows = [(_word(name), *(_shown(arm[place].get(name)) for place in places)) for name in names]
    parts = [_table(("Metric", *(PLACES[place] for place in places)), rows), _sources(metrics, arm, places)]
    first = next((name for name in FIRST if any(name in arm[place] for place in places)), names[0])
    parts += [heads, _subsets(arm, first), _between_sites(metrics, arm, first), _floors(metrics, arm, first)]
    return "\n\n".join(part for part in parts if part)


def _heads(study: Study, arm: Metrics) -> str:
    """The score of each further head; a deployment has none, since hospitals send statistics of the main task only."""
    if not study.heads:
        return ""
    rows = []
    for head in study.heads:
        found = (arm.get("heads") or {}).get(head.name) or {}
        first = next((name for name in FIRST if any(name in (found.get(place) or {}) for place in PLACES)), "")
        scores = [_shown((found.get(place) or {}).get(first)) if first else "not measured" for place in HEADS_AT]
        rows.append((head.name, _word(first) if first else "–", *scores))
    return "### Further heads\n\n" + _table(("Head", "Metric", *(PLACES[place] for place in HEADS_AT)), rows)


def _sources(metrics: Metrics, arm: Metrics, places: Sequence[str]) -> str:
    protocol = metrics.get("protocol")
    if protocol is None:
        size = f" ({_patients(arm['own'])})" if _patients(arm.get("own") or {}) else ""
        return (
            f"From merged counts of the hospitals{size}, without patient rows. In brackets: 95 % intervals of a "
            "bootstrap of these counts, where they give one."
        )
    sizes = [f"{PLACES[place]}: {_patients(arm[place])}" for place in places if _patients(arm[place])]
    text = "In brackets: 95 % intervals of a bootstrap over patients. " + "; ".join(sizes)
    runs = protocol["folds"] * protocol["repeats"]
    if runs > 1:
        text += (
            f". Means over {_count(protocol['repeats'], 'repeat')} of {_count(protocol['folds'], 'fold')}; "
            "the saved model is the first's"
        )
    return f"{text}. Protocol: {protocol['name']}."


def _subsets(arm: Metrics, metric: str) -> str:
    """The score with some modalities only, or with each taken away."""
    measured = arm.get("subsets") or {f"without {name}": part for name, part in (arm.get("without") or {}).items()}
    rows = [
        (name, *(_shown((part.get(place) or {}).get(metric)) for place in ("own", "unseen")))
        for name, part in measured.items()
    ]
    if not rows:
        return ""
    head = ("Modalities at hand", PLACES["own"], PLACES["unseen"])
    return f"### With some modalities only ({_word(metric)})\n\n" + _table(head, rows)


def _between_sites(metrics: Metrics, arm: Metrics, metric: str) -> str:
    """Every hospital's score; where each was left out of training in turn, that by the model that never saw it."""
    in_turn = (metrics.get("protocol") or {}).get("name") in IN_TURN
    scores = (arm.get("unseen_sites") if in_turn else arm.get("sites")) or {}
    values = {site: row.get(metric) or {} for site, row in scores.items()}
    known = {site: v for site, v in values.items() if v.get("value") is not None}
    if not known:
        return ""
    order = sorted(known, key=lambda site: known[site]["value"], reverse=metric in LOWER_IS_BETTER)
    worst, best = order[0], order[-1]
    title = f"### Between hospitals ({_word(metric)}{', each when it was left out' if in_turn else ''})\n\n"
    extremes = f"Worst: {worst}, {_shown(known[worst])}. Best: {best}, {_shown(known[best])}.\n\n"
    text = title + (extremes if len(known) > 1 else f"Scored at one hospital of {len(values)} only.\n\n")
    rows = [(site, v.get("n", "–"), _shown(v or None)) for site, v in values.items()]
    return text + _table(("Hospital", "test patients", _word(metric)), rows)


def _floors(metrics: Metrics, arm: Metrics, metric: str) -> str:
    """Simple models on the same patients, and whether one of them is better."""
    floors = {name: scores for name, scores in (metrics.get("baselines") or {}).items() if name.startswith("linear")}
    places = [place for place in ("own", "unseen") if arm.get(place)]
    if not floors:
        return ""
    rows = [
        (name.replace("_", " "), *(_shown((scores.get(place) or {}).get(metric)) for place in places))
        for name, scores in floors.items()
    ]
    text = f"### Linear floors ({_word(metric)})\n\n" + _table(("Model", *(PLACES[place] for place in places)), rows)
    better = [
        f"{name.replace('_', ' ')} ({PLACES[place].lower()})"
        for place in places
        for name, scores in floors.items()
        if _beats((scores.get(place) or {}).get(metric), arm[place].get(metric), metric)
    ]
    return text + (f"\n\n**A linear model is better here:** {', '.join(better)}." if better else "")


def _beats(floor: Metrics | None, model: Metrics | None, metric: str) -> bool:
    if not floor or not model or floor.get("value") is None or model.get("value") is None:
        return False
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return bool(sign * floor["value"] > sign * model["value"])


def _privacy(metrics: Metrics) -> str:
    terms = metrics["privacy"]
    if all(one["epsilon"] is None for one in terms.values()):
        return NOT_PRIVATE
    rows = [
        (site, "NOT PRIVATE" if one["epsilon"] is None else rounded_up(one["epsilon"]), one.get("delta") or "–")
        for site, one in terms.items()
    ]
    return _table(("Hospital", "epsilon", "delta"), rows)


def _limits(study: Study, metrics: Metrics, arm: Metrics) -> list[str]:
    limits = [str(note) for note in metrics.get("notes", ())]
    if metrics.get("synthetic") and not limits:
        limits.append("Every patient was generated; no figure here says anything about medicine.")
    random = [n for n in ("slides", "imaging") if getattr(getattr(study.modalities, n), "weights", "") == "random"]
    if random and "cohort" not in metrics:
        limits.append(f"The encoder of {' and '.join(random)} had random weights: not for any result.")
    for name in (metrics.get("inputs") or {}).get("untrained", ()):
        limits.append(f"Too few hospitals had {name}: its branch was never trained and is not used for predictions.")
    own: Metrics = next(iter((arm.get("own") or {}).values()), {})
    if (own.get("n") or FEW_PATIENTS) < FEW_PATIENTS:
        limits.append(f"Only {own['n']} own test patients: every figure is uncertain.")
    if own.get("events") is not None and own["events"] < FEW_EVENTS:
        limits.append(f"Only {own['events']} events among the own test patients: survival figures are uncertain.")
    if not arm.get("unseen"):
        limits.append("Not measured on patients of hospitals that took no part.")
    people = "" if metrics.get("fairness") else "age, sex, "
    limits.append(f"Not examined: differences by {people}ancestry or scanner, and change over time.")
    limits.append("manifest.json shows whether a file is damaged, not who made it.")
    return limits


def _patients(values: Metrics) -> str:
    v: Metrics = next(iter(values.values()), {})
    events = f", {v['events']} events" if v.get("events") is not None else ""
    return f"{_count(v['n'], 'patient')}{events}" if v.get("n") is not None else ""


def _shown(value: Metrics | None) -> str:
    """A V of metrics.json: the figure with its interval, or a dash with the reason."""
    if not value:
        return "–"
    if value.get("value") is None:
        return f"– ({value.get('reason') or 'no reason recorded'})"
    text = f"{value['value']:.3f}"
    if value.get("low") is not None and value.get("high") is not None:
        text += f" ({value['low']:.3f} to {value['high']:.3f})"
    return text


def _word(metric: str) -> str:
    plain = metric.replace("_", " ")
    return WORDS.get(metric, plain[:1].upper() + plain[1:])


def _count(number: object, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
