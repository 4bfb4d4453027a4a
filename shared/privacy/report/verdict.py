"""Block A of a site: one word, and the sentences that go with it."""

from collections.abc import Sequence
from typing import Literal

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.privacy.report.document import Verdict, Word
from shared.privacy.report.history import History
from shared.privacy.report.sentences import rounded_up
from shared.privacy.spending import Policy, Spending

__all__ = ["MOST_ROUNDS", "TEST_NOISE", "broken_verdict", "site_verdict", "worst_line"]

MOST_ROUNDS = 100
"""So many rounds left are told as "at least so many"."""

SHOWN = 3  # studies that page 1 names
WORST = "Worst case, coordinator and other hospitals together"
KEPT = (
    "Every model update that left this hospital carried noise that only this hospital knew.",
    "Together the updates stay below the limit that the hospital has set for itself.",
)
NOTHING = ("Nothing that depends on a patient has left this hospital for training so far.",)
TEST_NOISE = (
    "The noise came from a seed that others know. They can take it away again, so it protects nobody.",
    "This is meant for tests on public data only.",
)


def site_verdict(history: History, policy: Policy, spent: Spending) -> Verdict:
    """The verdict over everything in an unbroken ledger.

    Without noise, or with noise that others know, there is no epsilon: what was charged is then told in block E only.
    """
    privacy, bounded = _privacy(history), not (history.plain or history.test_noise)
    left = _rounds_left(history, policy)
    word: Word = "WITHIN CAP"
    if not bounded or privacy == "off":
        word = "NOT PRIVATE"
    elif spent.epsilon >= spent.cap or left == 0:
        word = "CAP REACHED"
    shown = word != "NOT PRIVATE"
    return Verdict(
        word=word,
        privacy=privacy,
        spent=spent.epsilon if shown else None,
        cap=spent.cap,
        left=spent.left if shown else None,
        delta=spent.delta,
        study=history.name(history.current) if history.current else "",
        rounds_left=left,
        rounds_to_run=history.rounds_to_run if left is not None else None,
        worst=worst_line(spent.epsilon if shown else None),
        sentences=_sentences(word, history, spent),
    )


def broken_verdict() -> Verdict:
    """The verdict where the ledger cannot be relied on: no figure at all."""
    return Verdict(
        word="LEDGER BROKEN",
        privacy="unknown",
        spent=None,
        cap=None,
        left=None,
        delta=None,
        study="",
        rounds_left=None,
        rounds_to_run=None,
        worst=f"{WORST}: assume that there is no limit to what they can learn.",
        sentences=(
            "The record of what this hospital has spent was changed, cut or damaged, or it cannot be read.",
            "No figure of it can be relied on. The hospital takes part in no further round until this is cleared up.",
        ),
    )


def _privacy(history: History) -> Literal["on", "off", "test", "partly", "none"]:
    """Whether there was noise; a study that is approved but did not run yet counts only while nothing else does."""
    if history.test_noise:
        return "test"
    if history.plain:
        return "partly" if history.charges else "off"
    if history.charges:
        return "on"
    standing = [e for e in history.approvals if e.seq not in history.revoked]
    if not standing:
        return "none"
    return "on" if any(e.body["mode"] != "off" for e in standing) else "off"


def _rounds_left(history: History, policy: Policy) -> int | None:
    """How many more rounds of the current study fit, by halves. A report asks no Budget, which may sign a policy."""
    once = history.round_event
    if once is None:
        return None

    def fits(rounds: int) -> bool:
        more = Event(once.sample_rate, once.sigma, once.steps * rounds)
        return epsilon((*history.events, more), policy.delta) <= policy.epsilon_cap

    if fits(MOST_ROUNDS):
        return MOST_ROUNDS
    low, high = 0, MOST_ROUNDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def worst_line(epsilon: float | None) -> str:
    """What the strongest adversary is held to."""
    if epsilon is None:
        return f"{WORST}: there is no limit to what they can learn."
    return f"{WORST}: still at most {rounded_up(epsilon)}."


def _sentences(word: Word, history: History, spent: Spending) -> tuple[str, ...]:
    if word == "WITHIN CAP":
        return (*(KEPT if history.charges else NOTHING), *_approved_plain(history))
    if word == "CAP REACHED":
        return (
            KEPT[0],
            "The limit that the hospital has set for itself is reached: one more round would go beyond it, and is "
            "refused.",
        )
    if history.test_noise:
        return TEST_NOISE
    if not history.plain:
        return _approved_plain(history)
    names = _named([history.name(digest) for digest in history.plain])
    sentences: tuple[str, ...] = (
        f"Model updates left this hospital without noise (study {names}).",
        "Nothing limits what they may tell about a single patient. What was sent is listed in blocks F and G.",
    )
    if history.charges:
        sentences += (f"The studies with noise alone have spent {rounded_up(spent.epsilon)} of {spent.cap:.2f}.",)
    return sentences


def _approved_plain(history: History) -> tuple[str, ...]:
    """Studies without noise that are approved and have sent nothing yet."""
    waiting = [
        history.name(str(e.body["digest"]))
        for e in history.approvals
        if e.body["mode"] == "off" and e.seq not in history.revoked and e.body["digest"] not in history.ran
    ]
    if not waiting:
        return ()
    return (f"A study without noise is approved but has sent nothing yet: {_named(waiting)}.",)


def _named(studies: Sequence[str]) -> str:
    """The last few names: page 1 is one page."""
    more = f" and {len(studies) - SHOWN} more" if len(studies) > SHOWN else ""
    return ", ".join(studies[-SHOWN:]) + more
