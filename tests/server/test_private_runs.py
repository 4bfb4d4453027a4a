"""Whole private runs over the in-process Grid: equal weights, heads that go round, resume, what is told afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, MetricRecord
from safetensors.numpy import load

from client.site_ledger import open_budget, open_ledger
from server.rounds import ATTEMPTS
from shared.errors import QuorumError
from shared.messages import TrainReply
from shared.privacy.accounting import epsilon
from shared.site import read_site
from tests.federation import Run, disturbed, run, write_site
from tests.private_studies import private_study

pytestmark = pytest.mark.slow  # whole private runs
STUDY = private_study()
FEW = "[disclosure]\nmin_patients = 4\n"


@pytest.fixture
def hospitals(tmp_path: Path) -> dict[str, Path]:
    """Three hospitals of different size whose ledgers are new."""
    classes = {"A": (8, 8, 8), "B": (10, 10, 10), "C": (9, 9, 9)}
    return {site: write_site(tmp_path / site, counts, sections=FEW) for site, counts in classes.items()}


@pytest.fixture
def private(hospitals: dict[str, Path], tmp_path: Path) -> Run:
    return run(STUDY, hospitals, tmp_path / "runs")


def test_a_private_run_tells_what_it_cost_and_nothing_of_patients(private: Run, hospitals: dict[str, Path]) -> None:
    assert STUDY.terms is not None
    cost = epsilon([STUDY.terms.study], 1e-5)
    assert cost <= 4.0
    for site, told in private.metrics["privacy"].items():
        assert (told["mode"], told["epsilon"], told["delta"], told["charges"]) == ("local", cost, 1e-5, 3)
        assert told["epsilon_replace_one"] > told["epsilon"]
        assert open_budget(read_site(hospitals[site])).spent().epsilon == cost
    for record in private.rounds:
        assert record["loss"] is None
        assert record["received_model"] == {}
        assert record["sites"] == {site: {"charges": record["round"]} for site in "ABC"}
        assert set(record["patients"].values()) == {3}
    assert private.metrics["arms"]["federated"]["own"]["accuracy"]["value"] is not None


def test_every_site_weighs_the_same(hospitals: dict[str, Path], tmp_path: Path) -> None:
    last: dict[str, dict[str, np.ndarray]] = {}

    def watch(site: str, reply: Message) -> Message:
        if reply.metadata.message_type == "train":
            last[site] = {name: np.array(array) for name, array in TrainReply.read(reply).arrays.items()}
        return reply

    model = load(run(STUDY, hospitals, tmp_path / "runs", disturbed(watch)).model)
    for name, array in model.items():
        mean = np.mean([last[site][name] for site in "ABC"], axis=0)
        np.testing.assert_allclose(array, mean, rtol=1e-5, atol=1e-6)


def test_heads_go_round_and_are_acknowledged(private: Run, hospitals: dict[str, Path]) -> None:
    heads = json.loads((private.folder.parent / "ledger-heads.json").read_text())
    assert {site: len(found) for site, found in heads.items()} == dict.fromkeys("ABC", 5)
    ledger = open_ledger(read_site(hospitals["B"]))
    assert [entry.body["charge"] for entry in ledger.entries("acked")] == [e.seq for e in ledger.entries("charge")]
    assert len(ledger.entries("head")[-2].body["seen"]) == 2
    assert not ledger.verify().faults


@pytest.mark.parametrize("key", ["loss_sum", "patients.fusion", "eval.confusion"])
def test_a_site_that_tells_of_its_patients_is_left_out(hospitals: dict[str, Path], tmp_path: Path, key: str) -> None:
    def talk(site: str, reply: Message) -> Message:
        if site == "B" and reply.metadata.message_type == "train":
            value = [1, 2] if key.startswith("eval") else 3
            reply.content["metrics"] = MetricRecord({**reply.content["metrics"], key: value})
        return reply

    (first, *_) = run(STUDY, hospitals, tmp_path / "runs", disturbed(talk)).rounds
    assert first["missing"]["B"] == "expected no count, loss or statistic of patients under privacy, got some"


def test_a_round_that_is_tried_again_costs_nothing_more(hospitals: dict[str, Path], tmp_path: Path) -> None:
    seen: list[str] = []

    def lose(site: str, reply: Message) -> Message:
        if site in "BC" and reply.metadata.message_type == "train" and len(seen) < 2:
            seen.append(site)
            reply.content["config"]["round"] = 77  # damaged on its way
        return reply

    finished = run(STUDY, hospitals, tmp_path / "runs", disturbed(lose))
    assert {told["charges"] for told in finished.metrics["privacy"].values()} == {3}
    assert len(finished.rounds) == 3


def test_a_run_whose_sites_have_spent_their_budget_stops_and_says_why(tmp_path: Path) -> None:
    tight = FEW + "[privacy]\nepsilon_cap = 4.1\n"
    files = {site: write_site(tmp_path / site, (8, 8, 8), sections=tight) for site in "AB"}
    run(STUDY, files, tmp_path / "first")
    with pytest.raises(QuorumError, match="A: BUDGET_EXCEEDED; B: BUDGET_EXCEEDED"):
        run(STUDY, files, tmp_path / "second", run_id=2)
    for file in files.values():
        assert len(open_ledger(read_site(file)).entries("charge")) == 3
        assert len(open_ledger(read_site(file)).entries("refused")) == ATTEMPTS


def test_a_noise_seed_that_is_known_is_refused_outside_a_simulation(tmp_path: Path) -> None:
    files = {site: write_site(tmp_path / site, (8, 8, 8), sections=FEW) for site in "AB"}
    study = private_study(privacy={"noise_source": "test-seeded"})
    with pytest.raises(QuorumError, match="PRIVACY_REFUSED"):
        run(study, files, tmp_path / "runs")
    assert open_ledger(read_site(files["A"])).entries("charge") == []
