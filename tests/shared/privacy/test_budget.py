"""A cap that holds: whatever is asked, in whatever order, by however many processes at once."""

import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Refused
from shared.privacy.accounting import ACCOUNTANT, epsilon
from shared.privacy.budget import Budget, Policy, Spending
from shared.privacy.events import Event
from shared.privacy.head import Head
from shared.privacy.ledger import Ledger
from tests.ledgers import budget_in, charge, python, tampered, terms

ROUND = terms(1.77, 0.1, 20)
"""Of these rounds ten fit under epsilon 4, at delta 1e-5."""


def exported(budget: Budget, round_: int = 1) -> Head:
    return budget.export(digest="d" * 64, run="1", round_=round_, seen={})


def echo_code(budget: Budget, text: str) -> str:
    with pytest.raises(Refused) as caught:
        budget.check_echo(text)
    return caught.value.code


def test_the_round_that_would_pass_the_cap_is_refused(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    for round_ in range(1, 11):
        charge(budget, round_, ROUND)
    with pytest.raises(
        Refused, match=r"expected at most epsilon 4 at .*, got 4\.182 with round 11 \(3\.974 spent"
    ) as caught:
        charge(budget, 11, ROUND)
    assert caught.value.code == "BUDGET_EXCEEDED"
    assert budget.spent().epsilon == epsilon([Event(0.1, 1.77, 200)], 1e-5) <= 4
    assert len(budget.ledger.entries("charge")) == 10
    (refused,) = budget.ledger.entries("refused")
    assert refused.body["code"] == "BUDGET_EXCEEDED"
    assert refused.body["round"] == 11
    assert refused.body["epsilon"] == budget.projected(ROUND.round).epsilon > 4


def test_a_charge_records_the_whole_round(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    charge(budget, 3, ROUND, cohort=7)
    (entry,) = budget.ledger.entries("charge")
    assert {name: value for name, value in entry.body.items() if name not in ("ts", "software")} == {
        "kind": "charge",
        "digest": "d" * 64,
        "run": "1",
        "round": 3,
        "attempt": 1,
        "task": "survival",
        "fold": "0.0",
        "cohort": 7,
        "mode": "local",
        "sample_rate": 0.1,
        "sigma": 1.77,
        "clip": 1.0,
        "steps": 20,
        "sampler": "poisson",
        "noise_source": "chacha20",
        "backend": "auto",
        "epsilon": epsilon([ROUND.round], 1e-5),
        "epsilon_replace_one": epsilon([ROUND.round], 1e-5, "replace_one"),
        "delta": 1e-5,
    }


def test_every_attempt_is_charged(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    charges = [charge(budget, 1), charge(budget, 1), charge(budget, 2), charge(budget, 1, run="2")]
    attempts = [entry.body["attempt"] for entry in budget.ledger.entries("charge")]
    assert attempts == [1, 2, 1, 1]
    newest = budget.charged("d" * 64, "1", 1)
    assert newest is not None
    assert newest.seq == charges[1]
    assert budget.charged("d" * 64, "3", 1) is budget.charged("d" * 64, "1", 3) is None
    assert (budget.charges("d" * 64, "1"), budget.charges("d" * 64, "3")) == (3, 0)
    assert (budget.latest_round("d" * 64, "1"), budget.latest_round("d" * 64, "3")) == (2, 0)
    assert budget.spent().events == (Event(1.0, 8.0, 4),)


def test_spending_is_told_in_both_relations(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    assert budget.spent() == Spending(0.0, 0.0, 4.0, 1e-5, ())
    charge(budget)
    spent, next_ = budget.spent(), budget.projected(Event(1.0, 8.0, 1))
    assert spent.epsilon == epsilon([Event(1.0, 8.0, 1)], 1e-5)
    assert 1.9 < spent.epsilon_replace_one / spent.epsilon < 2.5
    assert spent.left == 4.0 - spent.epsilon
    assert next_.events == (Event(1.0, 8.0, 2),)
    assert budget.spent() == spent


def test_rounds_left_is_what_can_still_be_charged(tmp_path: Path) -> None:
    budget = budget_in(tmp_path, cap=1.0)
    left = budget.rounds_left(terms().round)
    assert left > 3
    charge(budget)
    assert budget.rounds_left(terms().round) == left - 1
    for round_ in range(left - 1):
        charge(budget, 2 + round_)
    assert budget.rounds_left(terms().round) == 0
    with pytest.raises(Refused):
        charge(budget, left + 1)
    assert budget.rounds_left(Event(1.0, 1e6, 1)) == 1000


def test_a_round_without_bound_is_refused_and_recorded(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    with pytest.raises(Refused, match="got inf with round 1") as caught:
        charge(budget, 1, terms(0.01))
    assert caught.value.code == "BUDGET_EXCEEDED"
    assert budget.ledger.entries("refused")[0].body["epsilon"] is None
    assert budget.spent().epsilon == 0


def test_a_new_policy_is_signed_and_lowers_nothing(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    charge(budget)
    spent = budget.spent()
    for cap in (0.1, 8.0):
        budget = budget_in(tmp_path, cap=cap, approver="board")
        assert budget.spent().events == spent.events
        assert budget.spent().epsilon == spent.epsilon
        assert budget.spent().left == max(0.0, cap - spent.epsilon)
    first, second, third = budget.ledger.entries("policy")
    assert [entry.body["epsilon_cap"] for entry in (first, second, third)] == [4.0, 0.1, 8.0]
    assert all(entry.sig for entry in (first, second, third))
    assert {name: value for name, value in third.body.items() if name not in ("ts", "software")} == {
        "kind": "policy",
        "site": "A",
        "unit": "patient",
        "neighbours": "add/remove one patient",
        "delta": 1e-5,
        "epsilon_cap": 8.0,
        "accountant": ACCOUNTANT,
        "approver": "board",
        "key": budget.ledger.public_key.hex(),
    }


def test_a_cap_below_what_is_spent_refuses_everything(tmp_path: Path) -> None:
    charge(budget_in(tmp_path))
    budget = budget_in(tmp_path, cap=0.1)
    with pytest.raises(Refused, match="expected at most epsilon 0.1"):
        charge(budget, 2, terms(1e4))


def test_the_same_policy_is_written_once_whoever_looks(tmp_path: Path) -> None:
    for approver in ("dpo", "dpo", "trainer"):
        budget = budget_in(tmp_path, approver=approver)
    assert [entry.body["approver"] for entry in budget.ledger.entries("policy")] == ["dpo"]


asked = st.tuples(st.sampled_from([4.0, 8.0, 16.0]), st.integers(1, 12), st.sampled_from([0.5, 1.0, 2.0]))


@settings(max_examples=15)
@given(rounds=st.lists(asked, max_size=6))
def test_no_sequence_of_charges_passes_the_cap(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[float, int, float]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    standing: list[Event] = []
    for number, (sigma, steps, cap) in enumerate(rounds, 1):
        budget = budget_in(folder, cap=cap)
        event = Event(1.0, sigma, steps)
        if epsilon([*standing, event], 1e-5) <= cap:
            charge(budget, number, terms(sigma, steps=steps))
            standing.append(event)
            assert budget.spent().epsilon <= cap
        else:
            with pytest.raises(Refused, match=f"expected at most epsilon {cap:g} "):
                charge(budget, number, terms(sigma, steps=steps))
        assert budget.spent().epsilon == epsilon(standing, 1e-5)
    assert Ledger.open(folder, "A").verify().faults == ()


CHARGES = """
import json, sys, time
from pathlib import Path
from shared.errors import Refused
from tests.ledgers import budget_in, charge, terms
me, folder, start = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
budget = budget_in(folder, cap=1.0)
(start.parent / f"ready-{me}").touch()
while not start.exists():
    time.sleep(.01)
charged = []
try:
    while True:
        charged.append(charge(budget, 1 + len(charged), terms(17.0), run=me))
except Refused as exc:
    print(json.dumps([exc.code, charged]))
"""


@pytest.mark.slow
def test_four_processes_at_once_do_not_pass_the_cap_together(tmp_path: Path) -> None:
    folder, start = tmp_path / "privacy", tmp_path / "start"
    fit = budget_in(folder, cap=1.0).rounds_left(terms(17.0).round)
    processes = [python(CHARGES, name, folder, start) for name in "abcd"]
    while any(process.poll() is None for process in processes) and len(list(tmp_path.glob("ready-*"))) < 4:
        time.sleep(0.01)
    start.touch()
    told = [process.communicate(timeout=120) for process in processes]
    results = [json.loads(out) for out, error in told if not error]
    assert len(results) == 4, told
    assert {code for code, _ in results} == {"BUDGET_EXCEEDED"}
    charges = sorted(seq for _, seqs in results for seq in seqs)
    budget = budget_in(folder, cap=1.0)
    assert len(charges) == fit > 15
    assert [entry.seq for entry in budget.ledger.entries("charge")] == charges
    assert budget.spent().epsilon <= 1.0 < budget.projected(terms(17.0).round).epsilon
    assert len(budget.ledger.entries("refused")) == 4
    assert budget.ledger.verify().faults == ()


def test_a_release_is_acknowledged_by_the_head_that_comes_back(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    first = charge(budget, 1)
    assert budget.released(first) is None
    release = budget.release(first, "a" * 64, 12, {"w": (3,)})
    assert budget.released(first) == release
    assert {name: release.body[name] for name in ("charge", "sha256", "bytes", "tensors")} == {
        "charge": first, "sha256": "a" * 64, "bytes": 12, "tensors": {"w": [3]},
    }  # fmt: skip
    head = exported(budget)
    second = charge(budget, 2)
    budget.release(second, "b" * 64, 12, {"w": [3]})
    budget.check_echo(head.text())
    budget.check_echo(head.text())
    budget.check_echo("")
    (acked,) = budget.ledger.entries("acked")
    assert [acked.body[name] for name in ("charge", "head_seq", "head_hash")] == [first, head.seq, head.hash]
    budget.check_echo(exported(budget, 2).text())
    assert [entry.body["charge"] for entry in budget.ledger.entries("acked")] == [first, second]


def test_a_refusal_and_an_abort_are_recorded_and_give_nothing_back(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    seq = charge(budget)
    spent = budget.spent()
    budget.abort(seq, "CLIENT_FAILED")
    budget.refuse("ROUND_INVALID", digest="d" * 64, run="1", round=99)
    refused, aborted = budget.ledger.last("refused"), budget.ledger.last("aborted")
    assert refused is not None
    assert aborted is not None
    assert (refused.body["code"], refused.body["round"]) == ("ROUND_INVALID", 99)
    assert (aborted.body["charge"], aborted.body["code"]) == (seq, "CLIENT_FAILED")
    assert budget.spent() == spent


def test_heads_follow_each_other(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    first = exported(budget)
    second = budget.export(digest="d" * 64, run="1", round_=2, seen={"0" * 16: (7, "e" * 64)})
    assert first.parent == ""
    assert second.parent == first.hash
    assert first.genuine()
    assert second.genuine()
    assert budget.knows(first)
    assert budget.knows(second)
    assert budget.ledger.head() == second
    entry = budget.ledger.at(second.seq)
    assert entry is not None
    assert entry.body["seen"] == {"0" * 16: [7, "e" * 64]}


def test_a_ledger_put_back_from_a_backup_is_only_betrayed_by_the_echo(tmp_path: Path) -> None:
    budget = budget_in(tmp_path / "A")
    charge(budget)
    shutil.copytree(tmp_path / "A", tmp_path / "backup")
    charge(budget, 2)
    echo = exported(budget).text()
    shutil.rmtree(tmp_path / "A")
    (tmp_path / "backup").rename(tmp_path / "A")
    restored = budget_in(tmp_path / "A")
    assert restored.ledger.verify().faults == ()
    assert echo_code(restored, echo) == "LEDGER_ROLLED_BACK"
    charge(restored, 2)
    exported(restored)
    assert echo_code(restored, echo) == "LEDGER_ROLLED_BACK"


def test_a_cut_tail_is_only_betrayed_by_the_echo(tmp_path: Path) -> None:
    budget = budget_in(tmp_path)
    first = charge(budget)
    charge(budget, 2)
    echo = exported(budget).text()
    tampered(tmp_path, "DELETE FROM entry WHERE seq > ?", first)
    assert Ledger.open(tmp_path, "A").verify().faults == ()
    assert echo_code(budget, echo) == "LEDGER_ROLLED_BACK"


def test_two_copies_sign_two_heads_with_one_parent(tmp_path: Path) -> None:
    one = budget_in(tmp_path / "one")
    before = exported(one)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = budget_in(tmp_path / "two")
    mine, theirs = exported(one, 2), exported(two, 2)
    assert mine.parent == theirs.parent == before.hash
    assert mine.hash != theirs.hash
    assert mine.genuine()
    assert theirs.genuine()
    assert echo_code(two, mine.text()) == echo_code(one, theirs.text()) == "LEDGER_ROLLED_BACK"


def test_heads_that_this_site_never_signed_are_refused(tmp_path: Path) -> None:
    budget, other = budget_in(tmp_path / "A"), budget_in(tmp_path / "B", site="B")
    head, foreign = exported(budget), exported(other)
    newer = Head("A", head.seq + 10, "f" * 64, head.hash, head.key, head.sig)
    under_my_name = Head("A", foreign.seq, foreign.hash, foreign.parent, foreign.key, foreign.sig)
    namesake = exported(budget_in(tmp_path / "A2"))
    for text in (
        newer.text(),
        under_my_name.text(),
        foreign.text(),
        namesake.text(),
        "{}",
        "no head",
        head.text()[:-1],
    ):
        assert echo_code(budget, text) == "HEAD_INVALID"
    assert budget.ledger.entries("acked") == []
    budget.check_echo(head.text())


def test_a_reinstalled_site_does_not_know_its_old_head(tmp_path: Path) -> None:
    echo = exported(budget_in(tmp_path / "A")).text()
    shutil.rmtree(tmp_path / "A")
    assert echo_code(budget_in(tmp_path / "A"), echo) == "HEAD_INVALID"


def test_two_budgets_over_one_ledger_count_the_same_charges(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "A")
    small, large = Budget(ledger, Policy(0.5, 1e-5, "dpo")), Budget(ledger, Policy(4.0, 1e-5, "dpo"))
    charge(large)
    with pytest.raises(Refused):
        charge(small, 2)
    assert small.spent().events == large.spent().events
