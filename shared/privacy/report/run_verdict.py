"""Block A of a consortium's run."""

from collections.abc import Iterable, Sequence

from shared.privacy.report.document import SiteLine, Verdict, Word
from shared.privacy.report.promise import finite
from shared.privacy.report.sentences import rounded_up
from shared.privacy.report.verdict import TEST_NOISE, worst_line
from shared.study import Study

__all__ = ["run_verdict"]

BROKEN = frozenset({"LEDGER_BROKEN", "LEDGER_ROLLED_BACK", "HEAD_INVALID"})
FULL = "BUDGET_EXCEEDED"


def run_verdict(study: Study, mode: str, lines: Sequence[SiteLine], spent: float | None) -> Verdict:
    """The verdict over one run.

    Parameters
    ----------
    mode
        local, off or test.
    spent
        Epsilon at the hospital that was charged most; None without privacy.
    """
    cap = study.privacy.epsilon
    word, sentences = _judged(study, mode, lines, spent)
    shown = spent if word in ("WITHIN CAP", "CAP REACHED") else None
    return Verdict(
        word=word,
        privacy="on" if mode == "local" else "test" if mode == "test" else "off",
        spent=None if shown is None else finite(shown),
        cap=cap,
        left=None if shown is None or cap is None else max(0.0, cap - shown),
        delta=study.privacy.delta,
        study=study.name,
        rounds_left=None,
        rounds_to_run=None,
        worst=worst_line(shown),
        sentences=sentences,
    )


def _judged(study: Study, mode: str, lines: Sequence[SiteLine], spent: float | None) -> tuple[Word, tuple[str, ...]]:
    broken = [line.site for line in lines if line.refused in BROKEN or (line.charges and line.head != "verified")]
    full = [line.site for line in lines if line.refused == FULL]
    if mode == "off" or spent is None:
        return "NOT PRIVATE", (
            "The hospitals sent model updates without noise.",
            "Nothing limits what the updates may tell about a single patient.",
        )
    if mode == "test":
        return "NOT PRIVATE", TEST_NOISE
    if broken:
        return "LEDGER BROKEN", (
            f"The record of what was spent cannot be relied on at {_named(broken)}.",
            "What the patients there have lost in privacy is not known. Ask the hospital for its own report.",
        )
    kept = "Every model update of this run carried noise that only the hospital knew."
    reached = _reached(study, full, spent)
    if reached:
        return "CAP REACHED", (kept, *reached)
    return "WITHIN CAP", (kept, "At every hospital the updates stay within the limit that the study names.")


def _reached(study: Study, full: Sequence[str], spent: float) -> tuple[str, ...]:
    """Which limits are used up: those of hospitals, or the study's own."""
    told: tuple[str, ...] = ()
    if full:
        told = (f"The limit that the hospital has set for itself is reached at {_named(full)}.",)
    if study.privacy.epsilon is not None and spent > study.privacy.epsilon:
        told += (
            f"Rounds were trained more than once, so that the run cost {rounded_up(spent)} instead of the "
            f"{rounded_up(study.privacy.epsilon)} that the study names. The hospitals' own limits allowed it.",
        )
    return told


def _named(sites: Iterable[str]) -> str:
    return ", ".join(sites)
