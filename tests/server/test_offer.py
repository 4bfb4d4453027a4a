"""The finished model reaches every hospital that took part, and no private row goes with it."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from structlog.testing import capture_logs

from client.predict import predict_patients
from server.offer import offer_model, offered_files
from server.results import public_metrics
from server.rounds import Finished
from shared.messages import EvaluateReply, HandshakeReply
from shared.run_folder import parse_run, read_run
from shared.site import read_site
from tests.federation import Run, WatchedGrid, disturbed, run, tiny_study, write_site

STUDY = tiny_study()
FEW = "[disclosure]\nmin_patients = 4\n"
PRIVATE = FEW + "per_site_results = false\n"
FILES = {
    *("study.json", "study.toml", "model.safetensors", "gene_stats.safetensors", "metrics.json", "model-card.md"),
    "manifest.json",
}


def hospitals(folder: Path, private: str = "") -> dict[str, Path]:
    """A, B, C and D; those in `private` keep their own row to themselves."""
    terms = {name: PRIVATE if name in private else FEW for name in "ABCD"}
    return {name: write_site(folder / name, (8, 8, 8), sections=terms[name]) for name in terms}


def lost_offer(site: str, reply: Message) -> Message:
    """The reply of B to an offer says another site."""
    if site == "B" and reply.metadata.message_type == "query.model":
        reply.content.config_records["config"]["site"] = "X"
    return reply


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Run]:
    """A run as it is deployed, in one process; C keeps its row private, and B's answer to the offer is lost."""
    folder = tmp_path_factory.mktemp("deployed")
    files = hospitals(folder, private="C")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFED_RUNS", str(folder / "runs"))
        return files, run(STUDY, files, folder / "runs", disturbed(lost_offer), named=False)


def test_every_site_keeps_a_run_folder_with_which_it_predicts(
    deployed: tuple[dict[str, Path], Run], tmp_path: Path
) -> None:
    files, done = deployed
    for name, file in files.items():
        site = read_site(file)
        folder = site.state / "models" / f"tiny-{STUDY.digest[:8]}"
        assert {path.name for path in folder.iterdir()} == FILES
        assert (folder / "model.safetensors").read_bytes() == done.model
        predicted = predict_patients(site, read_run(folder), tmp_path / f"{name}.csv")
        assert predicted.used.total() == 24
    ours = predict_patients(read_site(files["A"]), read_run(done.folder), tmp_path / "ours.csv").file.read_bytes()
    assert (tmp_path / "A.csv").read_bytes() == ours


def test_the_coordinator_logs_who_took_it_and_goes_on_without_the_others(
    deployed: tuple[dict[str, Path], Run],
) -> None:
    _, done = deployed
    offered = [log for log in done.logs if log["event"] == "model offered"]
    assert [(log["taken"], log["missing"]) for log in offered] == [(["A", "C", "D"], ["B"])]
    assert done.logs[-1]["event"] == "run finished"
    assert "PATIENT-" not in repr(done.logs)


def test_nothing_of_a_private_site_is_offered(deployed: tuple[dict[str, Path], Run]) -> None:
    files, done = deployed
    folder = read_site(files["A"]).state / "models" / f"tiny-{STUDY.digest[:8]}"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics["sites"]) == ["A", "B", "a site (1)", "D"]
    assert list(metrics["privacy"]) == ["A", "B", "a site (1)", "D"]
    # C's row would follow from the sum and the rows of the others
    assert metrics["arms"]["federated"]["sites"] == {}
    assert metrics["arms"]["federated"]["own"]["accuracy"]["n"] == 48
    assert "rounds" not in metrics["arms"]["federated"]
    assert sorted(done.metrics["arms"]["federated"]["sites"]) == ["A", "B", "D"]
    card = (folder / "model-card.md").read_text()
    assert "| a site (1) |" in card
    assert "| C |" not in card
    assert card == (done.folder / "model-card.md").read_text()


class StoppedGrid(WatchedGrid):
    """The coordinator is killed when it begins to offer."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        every = list(messages)
        if any(message.metadata.message_type == "query.model" for message in every):
            raise SystemExit
        return super().push_messages(every)


def test_a_coordinator_that_was_stopped_before_the_offer_makes_it_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMFED_RUNS", str(tmp_path / "runs"))
    files, study = hospitals(tmp_path), tiny_study(training={"rounds": 1})
    with pytest.raises(SystemExit):
        run(study, files, tmp_path / "runs", StoppedGrid, named=False)
    done = run(study, files, tmp_path / "runs", named=False)
    assert [log["taken"] for log in done.logs if log["event"] == "model offered"] == [["A", "B", "C", "D"]]
    assert not (done.folder / "unfinished").exists()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["report.key", done.folder.name]


def test_a_run_whose_offer_cannot_be_made_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("arms")

    monkeypatch.setenv("MMFED_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("server.offer.public_metrics", broken)
    done = run(tiny_study(training={"rounds": 1}), hospitals(tmp_path), tmp_path / "runs", named=False)
    assert [log["event"] for log in done.logs][-2:] == ["model not offered", "run finished"]
    assert read_run(done.folder).study.name == "tiny"
    assert not (done.folder / "unfinished").exists()


def test_a_simulation_offers_nothing(undisturbed: Run, sites: dict[str, Path]) -> None:
    assert not any(kind == "query.model" for _, kind, _ in undisturbed.grid.sent)  # type: ignore[attr-defined]


def test_an_offer_that_is_too_large_is_not_made(undisturbed: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.folder, folder)
    (folder / "model-card.md").write_bytes(bytes(1_000_000))
    study = tiny_study(federation={"max_message_mb": 1})
    grid = undisturbed.grid
    before = len(grid.sent)  # type: ignore[attr-defined]
    with capture_logs() as logs:
        assert offer_model(grid, study, folder, finished("", "ABC")[1]) == []
    assert len(grid.sent) == before  # type: ignore[attr-defined]
    (log,) = logs
    assert log["event"] == "model not offered: larger than max_message_mb"
    assert (log["mb"], log["max_message_mb"]) == (1.0, 1)


def finished(private: str, scored: str) -> tuple[dict[str, Any], Finished]:
    """Four sites, of which some are private and some were scored, and the metrics of their coordinator."""
    greetings = {
        name: HandshakeReply(name, "0", {}, "", {}, np.zeros((3, 0)), per_site_results=name not in private)
        for name in "ABCD"
    }
    evaluation = {name: EvaluateReply(name, {"n": [1]} if name in scored else {}) for name in "ABCD"}
    rows = {name: {"accuracy": {"value": 1.0}} for name in scored if name not in private}
    metrics = {
        "sites": {name: {"buckets": {}, "encoders": {}} for name in "ABCD"},
        "privacy": {name: {"mode": "off"} for name in "ABCD"},
        "refused": {"E": "NOT_APPROVED"},
        "arms": {"federated": {"own": {"accuracy": {"value": 0.5}}, "sites": rows, "rounds": [1]}},
    }
    return metrics, Finished({}, None, [], evaluation, {"E": "NOT_APPROVED"}, greetings)


@pytest.mark.parametrize(
    ("private", "scored", "rows", "own"),
    [
        ("", "ABCD", "ABCD", True),
        ("D", "ABC", "ABC", True),  # D has no part in the sum
        ("D", "ABCD", "", True),
        ("CD", "ABCD", "", True),
        ("BCD", "ABCD", "A", True),
        ("B", "AB", "", False),  # A would learn B's from the sum and its own
    ],
)
def test_a_private_row_cannot_be_told_from_the_others(private: str, scored: str, rows: str, own: bool) -> None:
    arm = public_metrics(*finished(private, scored))["arms"]["federated"]
    assert ("".join(arm["sites"]), bool(arm["own"]), "rounds" in arm) == (rows, own, False)


def test_an_offer_is_a_whole_run_by_itself(undisturbed: Run) -> None:
    _, done = finished("", "ABC")
    files = offered_files(undisturbed.folder, done)
    assert set(files) == FILES
    assert parse_run(files, "offer").study == STUDY
    assert b"PATIENT-" not in b"".join(files.values())
