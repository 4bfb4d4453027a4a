"""What the report says of the site signature: can the hospital be told, and what is lost at unseen hospitals?"""

from typing import Any

from simulations.report.signature_figure import row_name, signature_figure
from simulations.report.tables import Cell, Footnotes, Table
from simulations.report.words import joined, metric_name, number, spread

__all__ = ["signature_section"]

PLAIN = "none"
FEW = 30  # patients, below which an AUC says little
CLEAR = 0.7  # an AUC from which a hospital counts as recognisable


def signature_section(metrics: dict[str, Any]) -> dict[str, Any]:
    """The template's `signature`; {} for a run without."""
    found = metrics.get("signature") or {}
    rows = found.get("rows") or []
    picture = signature_figure(rows)
    if picture is None:
        return {}
    return {
        "figures": [("AUC of naming the hospital", picture)],
        "sentences": [_few(found["n"], found["sites"]) + _knows(rows), _loses(found.get("gap") or {})],
        "table": _table(rows),
        "n": found["n"],
        "sites": found["sites"],
        "left_out": found.get("left_out", 0),
        "classes": found.get("classes", "the same class"),
        "corrected": any(row["correction"] != PLAIN for row in rows),
    }


def _few(patients: int, sites: int) -> str:
    return f"Of {patients} patients of {sites} hospitals little can be said. " if patients < FEW else ""


def _knows(rows: list[dict[str, Any]]) -> str:
    """Which features and whether the trained model tell the hospital."""
    plain = [row for row in rows if row["correction"] == PLAIN and row["auc"] is not None]
    frozen = [row for row in plain if row["when"] == "frozen"]
    clear = [
        f"{row_name(row).lower()} ({number(row['auc'])})" for row in frozen if _beyond(row) and row["auc"] >= CLEAR
    ]
    weak = [f"{row_name(row).lower()} ({number(row['auc'])})" for row in frozen if _beyond(row) and row["auc"] < CLEAR]
    not_ = [f"{row_name(row).lower()} ({number(row['auc'])})" for row in frozen if not _beyond(row)]
    parts = [f"clearly by {joined(clear)}"] if clear else []
    parts += [f"a little by {joined(weak)}"] if weak else []
    parts += [f"not beyond chance by {joined(not_)}"] if not_ else []
    text = f"The hospital can be told {'; '.join(parts)}" if parts else "No features were measured"
    when = {row["when"]: row for row in plain if row["what"] == "embedding"}
    if "before" in when and "after" in when:
        text += f"; by the fused embedding {number(when['before']['auc'])} before and {number(when['after']['auc'])} "
        text += "after training"
    predictions = next((row for row in plain if row["what"] == "predictions"), None)
    if predictions is not None:
        text += f", and by the predictions {number(predictions['auc'])}"
        if predictions["within_class_auc"] is not None:
            text += f" ({number(predictions['within_class_auc'])} among patients of the same outcome)"
    return f"{text}."


def _beyond(row: dict[str, Any]) -> bool:
    return row["low"] > 0.5 and (row["null_highest"] is None or row["auc"] > row["null_highest"])


def _loses(gap: dict[str, Any]) -> str:
    """What the federated model scores at unseen hospitals less than at its own."""
    if gap.get("difference") is None:
        return (
            "Nobody is unseen, or no score could be computed there, so what this costs at a new hospital is not known."
        )
    name = metric_name(gap["metric"])
    own, unseen = number(gap["own"]["value"]), number(gap["unseen"]["value"])
    loss = gap["difference"]
    text = f"{name} of the federated model is {own} on own test patients and {unseen} at unseen hospitals, "
    text += f"{number(abs(loss))} {'less' if loss >= 0 else 'more'}"
    if gap.get("low") is None:
        return f"{text}."
    text += f" (own less unseen {spread(gap)}): "
    if gap["low"] > 0:
        return f"{text}it loses something there."
    return f"{text}{'it does not lose there' if gap['high'] < 0 else 'no difference beyond chance'}."


def _table(rows: list[dict[str, Any]]) -> Table:
    notes = Footnotes()
    lines = []
    for row in rows:
        value = {"value": row["auc"], "low": row["low"], "high": row["high"], "n": row["n"], "reason": row["reason"]}
        within = {
            "value": row["within_class_auc"],
            "low": row["within_class_low"],
            "high": row["within_class_high"],
            "reason": row["reason"] or "no two patients of the same outcome",
        }
        balanced, chance = number(row["balanced_accuracy"]), number(row["chance"])
        cells = [notes.cell(value), notes.cell(within), Cell(number(row["null"])), Cell(balanced), Cell(chance)]
        lines.append((row_name(row), "", [*cells, Cell(str(row["n"])), Cell(str(row["sites"]))]))
    head = ["AUC", "Same outcome", "At random", "Balanced accuracy", "Its chance", "Patients", "Hospitals"]
    return Table(head, lines, notes.lines)
