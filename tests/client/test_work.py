"""What a site does for one order."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.session import Session
from client.work import evaluate_model, greet, train_model
from shared.digests import sha256_bytes
from shared.errors import Refused
from shared.messages import Order, TrainReply
from shared.metrics import Statistics
from shared.study import Study
from shared.weights import Arrays, new_model, take_arrays
from tests.federation import prepared_site, tiny_study, write_site

STUDY = tiny_study()


def session_of(file: Path, study: Study = STUDY) -> Session:
    return Session(prepared_site(file, study), study)


def order(study: Study = STUDY, **fields: Any) -> Order:
    arrays = {name: array.copy() for name, array in take_arrays(new_model(study)).items()}
    return Order(**{"digest": STUDY.digest, "arrays": arrays, "round": 1, "learning_rate": 0.05, **fields})


def trained(session: Session, asked: Order) -> tuple[TrainReply, Arrays]:
    """The reply, and a copy of its arrays, which the next message overwrites."""
    reply = train_model(session, asked)
    return reply, {name: np.array(array) for name, array in reply.arrays.items()}


def distance(arrays: Arrays, asked: Order) -> float:
    return float(sum(((arrays[name] - asked.arrays[name]) ** 2).sum() for name in arrays))


def test_a_round_changes_the_held_branches_and_counts_what_it_did(sites: dict[str, Path]) -> None:
    asked = order()
    reply, arrays = trained(session_of(sites["C"]), asked)
    assert set(arrays) == {"branches.clinical.clinical.weight", "intercept.weight"}
    assert all(not np.array_equal(arrays[name], asked.arrays[name]) for name in arrays)
    assert (reply.site, reply.round, reply.steps, reply.patients) == ("C", 1, 2, {"clinical": 12, "fusion": 12})
    assert reply.loss_sum == pytest.approx(12 * np.log(3), rel=0.2)


def test_the_order_itself_is_not_changed(sites: dict[str, Path]) -> None:
    asked = order()
    before = {name: array.copy() for name, array in asked.arrays.items()}
    train_model(session_of(sites["A"]), asked)
    assert all(np.array_equal(asked.arrays[name], before[name]) for name in before)


def test_the_same_order_gives_the_same_bits(sites: dict[str, Path]) -> None:
    session = session_of(sites["A"])
    _, first = trained(session, order())
    _, again = trained(session, order())
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    _, other = trained(session, order(round=2))
    assert not np.array_equal(first["intercept.weight"], other["intercept.weight"])


def test_a_reply_carries_the_statistics_of_the_model_received(sites: dict[str, Path]) -> None:
    session, asked = session_of(sites["A"]), order()
    reply, _ = trained(session, asked)
    assert reply.evaluation == evaluate_model(session, asked).evaluation
    statistics = Statistics.from_record(reply.evaluation)
    assert statistics.n == 12
    # the model starts at zero: one class for all twelve, a third of which are right
    assert statistics.result()["accuracy"] == pytest.approx(1 / 3)


def test_statistics_of_too_few_test_patients_are_withheld(sites: dict[str, Path]) -> None:
    study = tiny_study(split={"test_fraction": 0.3})
    session = session_of(sites["A"], study)
    asked = order(study, digest=study.digest)
    assert len(session.patients(None)[1]) == 9
    assert trained(session, asked)[0].evaluation == {}
    assert evaluate_model(session, asked).evaluation == {}


def test_statistics_with_a_class_of_too_few_test_patients_are_withheld(tmp_path: Path) -> None:
    least = "[disclosure]\nmin_patients = 4\n"
    for folder, classes, n in (("A", (8, 8, 8), 12), ("B", (12, 12, 6), 0)):  # 6, 6 and 3 of B are test patients
        evaluation = evaluate_model(
            session_of(write_site(tmp_path / folder, classes, sections=least)), order()
        ).evaluation
        assert evaluation.get("n", [0]) == [n]


def test_a_site_may_keep_its_statistics_to_itself(tmp_path: Path) -> None:
    session = session_of(write_site(tmp_path / "A", (8, 8, 8), sections="[disclosure]\nevaluation = false\n"))
    assert trained(session, order())[0].evaluation == {}
    assert evaluate_model(session, order()).evaluation == {}


def test_a_greeting_sends_sums_of_training_patients_only(sites: dict[str, Path]) -> None:
    session = session_of(sites["B"])
    greeting = greet(session)
    assert greeting.gene_sums[0].max() == 15
    np.testing.assert_array_equal(greeting.gene_sums, session.data.sums(10))


def test_a_greeting_names_the_encoders_of_what_the_site_holds(sites: dict[str, Path]) -> None:
    session = session_of(sites["A"])
    assert (greet(session).encoders, greet(session).stain) == ({}, "")
    found = {"slides": "1" * 64, "imaging": "2" * 64, "blood": "3" * 64}
    session.data = replace(session.data, encoders=found, stain="macenko")
    session.study = tiny_study(modalities={"slides": {}, "imaging": {}, "blood": {"route": "template"}})
    session.held = ("slides", "blood")  # too few patients have images
    greeting = greet(session)
    assert greeting.encoders == {"slides": "1" * 64, "imaging": "", "blood": "3" * 64}
    assert greeting.stain == "macenko"
    session.held = ("blood",)
    assert greet(session).stain == ""


def test_announced_statistics_are_used_and_others_refused(sites: dict[str, Path]) -> None:
    session, table = session_of(sites["A"]), np.stack([np.full(5, 6.0), np.ones(5)])
    announced = order(gene_statistics=table, gene_stats_sha256=sha256_bytes(table.tobytes()))
    _, with_table = trained(session, announced)
    _, without = trained(session, order())
    assert not np.array_equal(
        with_table["branches.expression.genes.weight"], without["branches.expression.genes.weight"]
    )
    with pytest.raises(Refused, match="expected the announced gene statistics, got others"):
        train_model(session, order(gene_statistics=table + 1, gene_stats_sha256=announced.gene_stats_sha256))


def prox(mu: float | None, **training: Any) -> Study:
    options = {} if mu is None else {"strategy_options": {"proximal_mu": mu}}
    return tiny_study(federation={"strategy": "fedprox", **options}, training={"local_epochs": 5, **training})


def test_the_proximal_term_holds_a_site_near_the_global_model(sites: dict[str, Path]) -> None:
    far = {}
    for mu in (0.0, 1.0, 10.0):
        _, arrays = trained(session_of(sites["A"], prox(mu, optimizer="sgd")), order())
        far[mu] = distance(arrays, order())
    assert far[0.0] > 1.2 * far[1.0] > 1.44 * far[10.0] > 0


def test_without_the_proximal_term_it_is_fedavg(sites: dict[str, Path]) -> None:
    fedavg = tiny_study(training={"local_epochs": 5})
    _, average = trained(session_of(sites["A"], fedavg), order())
    _, nothing = trained(session_of(sites["A"], prox(0.0)), order())
    _, default = trained(session_of(sites["A"], prox(None)), order())
    assert all(average[name].tobytes() == nothing[name].tobytes() for name in average)
    assert any(average[name].tobytes() != default[name].tobytes() for name in average)
