"""Whole runs with real hospitals over the in-process Grid: quorum, refusals, resume, bit-equality."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ConfigRecord, Error, Message, MetricRecord
from flwr.proto.node_pb2 import NodeInfo
from safetensors.numpy import load

import server.rounds
from client.evaluation import predict, score_patients
from client.local_state import own_folder, read_local, read_round
from client.session import Session
from client.work import train_model
from server.checkpoint import read_checkpoint
from server.rounds import ATTEMPTS, learning_rate
from server.strategies.scaffold import ControlVariate
from shared.arrays import LiveArray
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.errors import QuorumError
from shared.messages import branch_of
from shared.metrics import Statistics
from shared.site import read_site
from shared.tasks import task_of
from shared.weights import Arrays, load_arrays, new_model
from tests.federation import Run, WatchedGrid, disturbed, prepared_site, run, tiny_study, write_site

Sites = dict[str, Path]
STUDY = tiny_study()
S1 = tiny_study(
    model={"architecture": "s1_crossattn", "dim": 8, "heads": 2, "dropout": 0.2}, training={"learning_rate": 0.005}
)
ADAM = tiny_study(federation={"strategy": "fedadam", "strategy_options": {"eta": 0.01}})
PROX = tiny_study(federation={"strategy": "fedprox", "strategy_options": {"proximal_mu": 1.0}})
SGD = {"optimizer": "sgd", "learning_rate": 0.05, "local_epochs": 2}
SCAFFOLD = tiny_study(federation={"strategy": "scaffold"}, training=SGD)
AVGM = tiny_study(federation={"strategy": "fedavgm"})
FEDBN = tiny_study(
    model={"architecture": "s1_crossattn", "dim": 8, "heads": 2},
    training={"learning_rate": 0.005},
    federation={"strategy": "fedbn"},
)
STRATEGIES = {"fedavg": STUDY, "s1": S1, "fedadam": ADAM, "fedprox": PROX, "fedavgm": AVGM, "scaffold": SCAFFOLD}
STRATEGIES["fedbn"] = FEDBN


def in_round(round_: int, *, sites: str = "B", message_type: str = "train", times: int = 10**9) -> Callable[..., bool]:
    """Whether this reply is to be disturbed, the first `times` times."""
    done = []

    def concerns(site: str, reply: Message) -> bool:
        meta = reply.metadata
        if site not in sites or not meta.message_type.startswith(message_type) or int(meta.group_id) != round_:
            return False
        done.append(site)
        return len(done) <= times * len(sites)

    return concerns


def spoiled(change: Callable[[Message], Any], concerns: Callable[..., bool]) -> type[WatchedGrid]:
    """A Grid on which some replies are changed."""

    def disturb(site: str, reply: Message) -> Message:
        if not concerns(site, reply):
            return reply
        changed = change(reply)
        return changed if isinstance(changed, Message) else reply

    return disturbed(disturb)


def with_nan(reply: Message) -> None:
    record = reply.content.array_records["arrays"]
    record["intercept.weight"] = LiveArray(np.full_like(record["intercept.weight"].numpy(), np.nan))


def without_key(reply: Message) -> None:
    del reply.content.array_records["arrays"]["intercept.weight"]


def undecodable(reply: Message) -> None:
    record = reply.content.array_records["arrays"]
    record["intercept.weight"] = Array(dtype="float32", shape=(1, 3), stype="numpy.ndarray", data=b"no array")


def config(**values: Any) -> Callable[[Message], None]:
    def change(reply: Message) -> None:
        record: ConfigRecord = reply.content.config_records["config"]
        for key, value in values.items():
            record[key.replace("__", ".")] = value

    return change


def metrics(**values: Any) -> Callable[[Message], None]:
    def change(reply: Message) -> None:
        record: MetricRecord = reply.content.metric_records["metrics"]
        for key, value in values.items():
            record[key.replace("__", ".")] = value

    return change


def empty(reply: Message) -> None:
    for name in list(reply.content):
        del reply.content[name]


def failed(reply: Message) -> Message:
    return Message(Error(code=8, reason="killed at /data/PATIENT-7"), reply_to=reply)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_nan, "expected finite values, got NaN or infinity"),
        (without_key, "expected 3 arrays, got 1 missing and 0 unknown keys"),
        (undecodable, "arrays that cannot be decoded"),
        (empty, "no config"),
        (failed, "the site or its link failed"),
        (config(site="A"), "expected a reply of B, got another site's name"),
        (config(round=1), "expected round 2, got 1"),
        (config(schema=2), "schema 2, expected 1"),
        (metrics(patients__expression=10**6), "expected no branch with more patients than the site has, got one"),
        (metrics(loss_sum=float("nan")), "no finite number loss_sum"),
        (metrics(eval__n=[1, 2]), "expected evaluation counts of this task, got others"),
    ],
)
def test_a_bad_reply_is_dropped_with_the_reason_and_the_round_goes_on(
    sites: Sites, tmp_path: Path, change: Callable[[Message], Any], reason: str
) -> None:
    done = run(STUDY, sites, tmp_path, spoiled(change, in_round(2)))
    second = done.rounds[1]
    assert second["missing"] == {"B": reason}
    assert list(second["sites"]) == ["A", "C"]
    assert second["kept"] == ["expression"]  # only A holds it then
    assert [list(record["sites"]) for record in done.rounds] == [["A", "B", "C"], ["A", "C"], ["A", "B", "C"], [*"ABC"]]
    assert all(math.isfinite(record["loss"]) for record in done.rounds)
    assert any(log["event"] == "site left out of the wave" and log["reason"] == reason for log in done.logs)


def test_a_modality_that_no_hospital_holds_is_warned_of_before_round_1(tmp_path: Path, undisturbed: Run) -> None:
    files = {name: write_site(tmp_path / name, (8, 8, 8), expression=False) for name in "AB"}
    for file in files.values():
        file.write_text(file.read_text() + "[disclosure]\nmin_patients = 4\n")
        prepared_site(file, STUDY)
    done = run(STUDY, files, tmp_path / "runs")
    events = [log["event"] for log in done.logs]
    warning = events.index("no hospital with expression: the branch will not be trained")
    assert done.logs[warning]["log_level"] == "warning"
    assert warning < events.index("round")
    rounds = [log for log in done.logs if log["event"] == "round"]
    assert [log["branches_not_trained"] for log in rounds] == [["expression"]] * 4
    assert done.metrics["inputs"]["untrained"] == ["expression"]
    assert not any("will not be trained" in log["event"] for log in undisturbed.logs)


def test_a_site_that_raises_is_dropped_by_its_code(
    sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Any, order: Any, own: Any) -> Any:
        if (session.site.id, order.round) == ("B", 2):
            raise RuntimeError("PATIENT-B-003 has no grade")
        return train_model(session, order, own)

    monkeypatch.setattr("client.work.train_model", broken)
    done = run(STUDY, sites, tmp_path)
    assert done.rounds[1]["missing"] == {"B": "CLIENT_FAILED"}
    assert not any(b"PATIENT" in content for content in done.grid.contents)  # type: ignore[attr-defined]


def test_the_final_model_needs_no_evaluation_of_all(sites: Sites, tmp_path: Path, undisturbed: Run) -> None:
    done = run(STUDY, sites, tmp_path, spoiled(failed, in_round(0, message_type="evaluate")))
    assert list(done.metrics["arms"]["federated"]["sites"]) == ["A", "C"]
    assert done.model == undisturbed.model


def test_a_round_without_a_quorum_is_tried_again(sites: Sites, tmp_path: Path, undisturbed: Run) -> None:
    done = run(STUDY, sites, tmp_path, spoiled(failed, in_round(2, sites="BC", times=ATTEMPTS - 1)))
    assert sum(sent[1:] == ("train", 2) for sent in done.grid.sent) == ATTEMPTS * 3  # type: ignore[attr-defined]
    assert done.rounds[1]["missing"] == {}
    assert done.model == undisturbed.model


def test_a_run_without_a_quorum_stops_and_says_why(sites: Sites, tmp_path: Path) -> None:
    with pytest.raises(QuorumError) as caught:
        run(STUDY, sites, tmp_path, spoiled(with_nan, in_round(3, sites="BC")))
    assert str(caught.value) == (
        "round 3: expected 2 usable replies, got 1 in 3 attempts (B: expected finite values, got NaN or infinity; "
        "C: expected finite values, got NaN or infinity); "
        "mend those sites and submit again: the run goes on from its last finished round"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (config(version="9.9.9"), "VERSION_MISMATCH: expected 0.1.0, got 9.9.9; install the same version"),
        (
            config(genes_sha256="0" * 64),
            "GENES_MISMATCH: expected the study's gene list, got another; prepare again with this study",
        ),
        (config(site="A"), "SITE_MISMATCH"),
    ],
)
def test_a_site_that_differs_is_refused_before_any_training(
    sites: Sites, tmp_path: Path, change: Callable[[Message], Any], reason: str
) -> None:
    done = run(STUDY, sites, tmp_path, spoiled(change, in_round(0, message_type="query")))
    assert done.metrics["refused"] == {"B": reason}
    assert {sent[0] for sent in done.grid.sent if sent[1] != "query.handshake"} == {"A", "C"}  # type: ignore[attr-defined]


@pytest.mark.slow
def test_sites_with_different_encoders_do_not_train_together(sites: Sites, tmp_path: Path) -> None:
    shas = {"A": "1" * 64, "B": "2" * 64, "C": "1" * 64}

    def disturb(site: str, reply: Message) -> Message:
        if reply.metadata.message_type == "query.handshake":
            reply.content.config_records["config"]["encoder.slides"] = shas[site]
        return reply

    file = write_site(tmp_path / "A", (8, 8, 8))
    study = tiny_study(modalities={**STUDY.content()["modalities"], "slides": {"weights": "random"}})
    others = {"A": file, "B": write_site(tmp_path / "B", (10, 10, 10)), "C": write_site(tmp_path / "C", (9, 9, 9))}
    done = run(study, others, tmp_path / "runs", disturbed(disturb))
    assert done.metrics["refused"] == {
        "B": "ENCODER_MISMATCH: slides: expected weights 111111111111, got 222222222222; use the same encoder"
    }


def test_too_few_sites_at_the_handshake(sites: Sites, tmp_path: Path) -> None:
    with pytest.raises(QuorumError, match=r"expected 2 sites to take part, got 1 \(B: VERSION.*; C: VERSION.*\); mend"):
        run(STUDY, sites, tmp_path, spoiled(config(version="9"), in_round(0, sites="BC", message_type="query")))


def test_a_site_below_its_min_patients_does_not_take_part(sites: Sites, tmp_path: Path) -> None:
    small = write_site(tmp_path / "D", (6, 6, 4))  # 8 of 16 patients train
    done = run(STUDY, {**sites, "D": small}, tmp_path / "runs")
    assert done.metrics["refused"] == {"D": "TOO_FEW_PATIENTS"}
    assert list(done.rounds[0]["sites"]) == ["A", "B", "C"]


def test_a_run_is_rounds_and_two_waves(undisturbed: Run) -> None:
    sent = undisturbed.grid.sent  # type: ignore[attr-defined]
    waves = list(dict.fromkeys((kind, round_) for _, kind, round_ in sent))
    assert waves == [("query.handshake", 0), *(("train", r) for r in range(1, 5)), ("evaluate", 0)]
    assert len(sent) == 3 * (4 + 2)
    assert [site for site, kind, round_ in sent if (kind, round_) == ("train", 2)] == ["A", "B", "C"]


@pytest.mark.parametrize("study", [STUDY, pytest.param(S1, marks=pytest.mark.slow)], ids=["fedavg", "s1"])
def test_twice_and_in_reverse_order_give_the_same_bits(
    sites: Sites, tmp_path: Path, study: Any, undisturbed: Run
) -> None:
    first = undisturbed if study is STUDY else run(study, sites, tmp_path / "first")
    backwards = run(study, dict(reversed(sites.items())), tmp_path / "backwards")
    assert backwards.model == first.model
    assert list(backwards.grid.names.values()) == ["C", "B", "A"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "study",
    [
        pytest.param(s, id=name, marks=[pytest.mark.slow] * (name not in ("fedavg", "scaffold")))
        for name, s in STRATEGIES.items()
    ],
)
def test_killed_and_resumed_gives_the_same_bits(sites: Sites, tmp_path: Path, study: Any, undisturbed: Run) -> None:
    first = undisturbed if study is STUDY else run(study, sites, tmp_path / "first")

    def kill(site: str, reply: Message) -> Message:
        if site == "B" and int(reply.metadata.group_id) == 3:
            raise KeyboardInterrupt
        return reply

    with pytest.raises(KeyboardInterrupt):
        run(study, sites, tmp_path / "killed", disturbed(kill))
    assert not (tmp_path / "killed" / "tiny-1" / "model.safetensors").exists()
    resumed = run(study, sites, tmp_path / "killed")
    assert [s[1:] for s in resumed.grid.sent] == [  # type: ignore[attr-defined]
        *[("train", 3)] * 3,
        *[("train", 4)] * 3,
        *[("evaluate", 0)] * 3,
    ]
    assert resumed.model == first.model
    assert [{**record, "seconds": 0} for record in resumed.rounds] == [
        {**record, "seconds": 0} for record in first.rounds
    ]


def test_the_strategies_differ_and_learn(sites: Sites, tmp_path: Path, undisturbed: Run) -> None:
    """What the tests above compare would be equal if nothing were trained, or if the strategy were ignored."""
    others = (ADAM, PROX, SCAFFOLD, tiny_study(training=SGD))
    models = [run(study, sites, tmp_path / study.digest[:6]).model for study in others]
    assert len({*models, undisturbed.model}) == 5
    losses = [record["sites"]["A"]["loss"] for record in undisturbed.rounds]
    assert losses[-1] < losses[0] - 0.1


def test_the_closing_wave_scores_the_layers_a_site_keeps_its_own_of(sites: Sites, tmp_path: Path) -> None:
    done = run(FEDBN, sites, tmp_path)
    table = load((done.folder / "gene_stats.safetensors").read_bytes())["gene_statistics"]
    gaps = []
    for name, file in sites.items():
        session, own = Session(read_site(file), FEDBN), own_folder(read_site(file), FEDBN.digest)
        test = session.patients(GeneStatistics(table))[1]
        reported = done.metrics["arms"]["federated"]["sites"][name]["brier"]["value"]
        brier = []
        for layers in (read_local(own, "layers", FEDBN.training.rounds + 1), {}):
            model = new_model(FEDBN)
            load_arrays(model, {**load(done.model), **layers})
            statistics = Statistics.of(score_patients(predict(model, test, FEDBN), test, FEDBN))
            brier.append(statistics.result()["brier"])
        assert reported == pytest.approx(brier[0], abs=1e-6)
        gaps.append(abs(brier[0] - brier[1]))
    assert max(gaps) > 1e-4  # with the average it would be another score


def control_variates(folder: Path, sites: Sites) -> tuple[Arrays, dict[str, Arrays], dict[str, dict[str, int]]]:
    """After a run with SCAFFOLD: c, every site's c_i, and branch -> site -> weight."""
    checkpoint = read_checkpoint(folder / "checkpoints", SCAFFOLD.digest)
    assert checkpoint is not None
    server = ControlVariate()
    server.restore(checkpoint.strategy)
    own = {
        name: read_round(own_folder(read_site(file), SCAFFOLD.digest), "control", server.taken[name])
        for name, file in sites.items()
    }
    assert all(own.values())
    return server.arrays, own, server.patients  # type: ignore[return-value]


@pytest.mark.parametrize("lost", [(), (2,), (2, 3)])
def test_c_stays_the_mean_of_all_c_i_though_replies_are_lost(
    sites: Sites, tmp_path: Path, lost: tuple[int, ...]
) -> None:
    def disturb(site: str, reply: Message) -> Message:
        gone = site == "B" and int(reply.metadata.group_id) in lost and reply.metadata.message_type == "train"
        return failed(reply) if gone else reply

    done = run(SCAFFOLD, sites, tmp_path, disturbed(disturb))
    assert [list(record["sites"]) for record in done.rounds if record["round"] in lost] == [["A", "C"]] * len(lost)
    common, own, patients = control_variates(done.folder, sites)
    assert set(common) == {name for arrays in own.values() for name in arrays}
    for name, array in common.items():
        weights = patients[branch_of(name)]
        parts = [own[site][name] * (n / sum(weights.values())) for site, n in weights.items()]
        np.testing.assert_allclose(array, sum(parts), atol=1e-5)
        assert float(np.abs(array).max()) > 1e-4


def test_one_full_batch_step_of_scaffold_is_one_of_fedavg(sites: Sites, tmp_path: Path) -> None:
    plain = {**SGD, "local_epochs": 1, "batch_size": 0, "modality_dropout": 0.0}
    models = [
        load(run(tiny_study(training=plain, federation={"strategy": name}), sites, tmp_path / name).model)
        for name in ("fedavg", "scaffold")
    ]
    for name, array in models[0].items():
        np.testing.assert_allclose(models[1][name], array, atol=1e-6)
    assert max(float(np.abs(array).max()) for array in models[0].values()) > 0.01


@pytest.mark.slow
def test_scaffold_gets_further_than_fedavg_where_hospitals_differ(tmp_path: Path) -> None:
    """Two hospitals with hardly a class in common, and many steps away from each other in each round."""
    sites = {"A": write_site(tmp_path / "A", (30, 4, 0)), "B": write_site(tmp_path / "B", (0, 4, 30))}
    many = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 1.0, "batch_size": 0, "local_epochs": 10}
    loss = {}
    for strategy in ("fedavg", "scaffold"):
        study = tiny_study(
            training={**many, "rounds": 4, "modality_dropout": 0.0, "weight_decay": 0.0},
            federation={"strategy": strategy},
        )
        done = run(study, sites, tmp_path / strategy)
        model = new_model(study)
        load_arrays(model, load(done.model))
        statistics = GeneStatistics(load((done.folder / "gene_stats.safetensors").read_bytes())["gene_statistics"])
        parts = [Session(read_site(file), study).patients(statistics)[0] for file in sites.values()]
        batch = Patients.concatenate(parts).batch(range(sum(map(len, parts))))
        with torch.no_grad():
            loss[strategy] = float(task_of(study.task).loss(model(batch), batch).mean())
    assert loss["scaffold"] < loss["fedavg"] - 0.02


def test_a_site_that_comes_late_joins_the_next_round(
    sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.rounds, "GATHERING_S", -1.0)

    class Late(WatchedGrid):
        def get_nodes(self) -> list[NodeInfo]:
            trained = sum(kind == "train" for _, kind, _ in getattr(self, "sent", []))
            return [
                NodeInfo(
                    node_id=n.node_id, name=n.name, status="offline" if n.name == "C" and not trained else "online"
                )
                for n in super().get_nodes()
            ]

    done = run(STUDY, sites, tmp_path, Late)
    assert [list(record["sites"]) for record in done.rounds] == [["A", "B"], *[["A", "B", "C"]] * 3]
    assert list(done.metrics["sites"]) == ["A", "B", "C"]


def test_sites_that_never_come_end_the_wait(sites: Sites, tmp_path: Path) -> None:
    class Nobody(WatchedGrid):
        def get_nodes(self) -> list[NodeInfo]:
            return [NodeInfo(node_id=n.node_id, name=n.name, status="offline") for n in super().get_nodes()]

    study = tiny_study(federation={"deadline_s": 0.01})
    with pytest.raises(
        QuorumError, match=r"expected 2 sites online within 0.01 s, got 0 \(none\); start `mmfed-client` at the others"
    ):
        run(study, sites, tmp_path, Nobody)


def test_the_learning_rate_falls_over_rounds() -> None:
    rates = [learning_rate(STUDY, round_) for round_ in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.05, 0.05 * (1 + 2**-0.5) / 2, 0.025, 0.05 * (1 - 2**-0.5) / 2])
    constant = tiny_study(training={"schedule": "constant"})
    assert {learning_rate(constant, round_) for round_ in (1, 4)} == {0.05}
