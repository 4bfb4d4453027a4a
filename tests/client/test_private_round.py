"""A site under a privacy budget: what it refuses, what it sends again, and what it writes down before it reads."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import client.private_round
from client.approvals import approve
from client.disclosed import PLAIN_UPDATES
from client.site_ledger import ledger_folder, open_budget, open_ledger
from shared.digests import sha256_bytes
from shared.messages import Order
from shared.privacy.accounting import epsilon
from shared.privacy.head import Head
from shared.site import read_site
from shared.weights import new_model, take_arrays
from tests.federation import prepared_site, tiny_study, wire_bytes, write_site
from tests.private_studies import ask, code, greet, private_study, train_order, trained

pytestmark = pytest.mark.usefixtures("flower_ids")
STUDY = private_study()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A prepared hospital with about 12 training patients that has approved the study."""
    path = write_site(
        tmp_path / "A", (8, 8, 8), sections="[privacy]\nepsilon_cap = 4.2\n[disclosure]\nmin_patients = 4\n"
    )
    prepared_site(path, STUDY)
    return path


def kinds(file: Path) -> list[str]:
    return [entry.kind for entry in open_ledger(read_site(file)).entries()]


def charges(file: Path) -> list[tuple[str, int, int]]:
    entries = open_ledger(read_site(file)).entries("charge")
    return [(entry.body["run"], entry.body["round"], entry.body["attempt"]) for entry in entries]


def test_a_run_is_written_down_in_the_order_of_the_promise(file: Path) -> None:
    head = greet(file, STUDY).head
    first = trained(file, STUDY, 1, echo_head=head)
    trained(file, STUDY, 2, echo_head=first.head)
    assert kinds(file) == [
        *("policy", "approval", "cohort", "aux", "head"),
        *("charge", "released", "head"),
        *("acked", "charge", "released", "head"),
    ]
    assert charges(file) == [("1", 1, 1), ("1", 2, 1)]
    assert STUDY.terms is not None
    spent = open_budget(read_site(file)).spent()
    assert spent.epsilon == epsilon([STUDY.terms.round] * 2, 1e-5)


def test_the_answer_holds_no_count_no_loss_and_no_time(file: Path) -> None:
    greet(file, STUDY)
    reply = trained(file, STUDY)
    assert (reply.patients, reply.loss_sum, reply.evaluation, reply.seconds) == ({}, None, {}, 0.0)
    assert (reply.steps, reply.charges) == (4, 1)
    content = ask(file, STUDY, train_order(STUDY)).content
    assert set(content.metric_records["metrics"]) == {"steps"}
    head = Head.parse(reply.head)
    assert head.genuine()
    assert head.site == "A"


def test_no_message_and_no_ledger_entry_names_a_patient(file: Path) -> None:
    greet(file, STUDY)
    reply = ask(file, STUDY, train_order(STUDY))
    ledger = (ledger_folder(read_site(file)) / "ledger.sqlite").read_bytes()
    for secret in (b"PATIENT-", str(file.parent).encode()):
        assert secret not in wire_bytes(reply)
        assert secret not in ledger


def test_the_charge_stands_before_any_patient_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greet(file, STUDY)
    seen: list[list[tuple[str, int, int]]] = []

    def reading(_: object) -> None:
        seen.append(charges(file))
        raise OSError("the disk of the features is gone")

    with monkeypatch.context() as patch:
        patch.setattr(client.private_round, "open_session", reading)
        assert code(ask(file, STUDY, train_order(STUDY))) == "CLIENT_FAILED"
    assert seen == [[("1", 1, 1)]]
    assert open_ledger(read_site(file)).entries("aborted")[0].body["code"] == "CLIENT_FAILED"
    assert trained(file, STUDY).charges == 2
    assert charges(file) == [("1", 1, 1), ("1", 1, 2)]


def test_a_round_asked_again_is_answered_with_the_same_bytes_for_free(file: Path) -> None:
    greet(file, STUDY)
    first, again = trained(file, STUDY), trained(file, STUDY)
    assert first.arrays.keys() == again.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    assert charges(file) == [("1", 1, 1)]


def test_a_stored_answer_that_was_touched_is_not_sent(file: Path) -> None:
    greet(file, STUDY)
    first = trained(file, STUDY)
    (stored,) = (read_site(file).state / "rounds").rglob("released-1.safetensors")
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(bytes(content))
    again = trained(file, STUDY)
    assert any((again.arrays[name] != array).any() for name, array in first.arrays.items())
    assert charges(file) == [("1", 1, 1), ("1", 1, 2)]


def test_a_second_run_is_charged_and_refused_where_the_cap_is_reached(file: Path) -> None:
    for round_ in (1, 2, 3):
        if round_ == 1:
            greet(file, STUDY)
        trained(file, STUDY, round_)
    greet(file, STUDY, run=2)
    assert code(ask(file, STUDY, train_order(STUDY), run=2)) == "BUDGET_EXCEEDED"
    spent, refused = open_budget(read_site(file)).spent(), open_ledger(read_site(file)).entries("refused")
    assert 3.9 < spent.epsilon <= 4.0
    assert [entry.body["code"] for entry in refused] == ["BUDGET_EXCEEDED"]
    assert refused[0].body["epsilon"] > 4.2
    assert len(charges(file)) == 3


@pytest.mark.parametrize("round_", [0, 4, 101])
def test_a_round_that_the_study_does_not_have_is_refused(file: Path, round_: int) -> None:
    greet(file, STUDY)
    assert code(ask(file, STUDY, train_order(STUDY, round_))) == "ROUND_INVALID"
    assert kinds(file)[-1] == "refused"
    assert charges(file) == []


def test_an_older_round_is_not_trained_again(file: Path) -> None:
    greet(file, STUDY)
    trained(file, STUDY, 1)
    trained(file, STUDY, 2)
    assert code(ask(file, STUDY, train_order(STUDY, 1))) == "ROUND_INVALID"
    assert charges(file) == [("1", 1, 1), ("1", 2, 1)]


def test_other_terms_under_an_approved_digest_are_refused(file: Path) -> None:
    for change in ({"sigma": 0.3, "epsilon": 90.0}, {"clip": 50.0}, {"delta": 1e-7}):
        other = private_study(privacy=change)
        assert code(ask(file, other, train_order(STUDY))) == "DIGEST_MISMATCH"
        assert code(ask(file, other, train_order(other))) == "NOT_APPROVED"
    assert "charge" not in kinds(file)


def test_more_rounds_than_approved_are_another_study(file: Path) -> None:
    longer = private_study(rounds=101)
    assert code(ask(file, longer, train_order(longer, 101))) == "NOT_APPROVED"


def test_a_study_beyond_the_site_files_cap_or_delta_is_refused_though_approved(file: Path) -> None:
    site = read_site(file)
    for change in ({"epsilon": 5.0}, {"delta": 1e-4}):
        other = private_study(privacy=change)
        approve(site, other, person="p")
        assert code(ask(file, other, train_order(other))) == "TERMS_EXCEED_SITE"


def test_a_head_that_nobody_signed_is_refused(file: Path) -> None:
    greet(file, STUDY)
    reply = trained(file, STUDY)
    head = Head.parse(reply.head)
    newer = Head(head.site, head.seq + 50, "f" * 64, head.hash, head.key, head.sig)
    assert code(ask(file, STUDY, train_order(STUDY, 2, echo_head=newer.text()))) == "HEAD_INVALID"
    assert code(ask(file, STUDY, train_order(STUDY, 2, echo_head="{}"))) == "HEAD_INVALID"
    assert charges(file) == [("1", 1, 1)]


def test_a_ledger_restored_from_a_backup_is_noticed(file: Path, tmp_path: Path) -> None:
    site = read_site(file)
    greet(file, STUDY)
    shutil.copytree(ledger_folder(site), tmp_path / "backup")
    head = trained(file, STUDY).head
    shutil.rmtree(ledger_folder(site))
    shutil.copytree(tmp_path / "backup", ledger_folder(site))
    assert code(ask(file, STUDY, train_order(STUDY, 2, echo_head=head))) == "LEDGER_ROLLED_BACK"
    assert charges(file) == []


def test_noise_does_not_derive_from_the_seeds_of_the_study(tmp_path: Path) -> None:
    replies = []
    for place in ("one", "two"):
        file = write_site(tmp_path / place / "A", (8, 8, 8), sections="[disclosure]\nmin_patients = 4\n")
        prepared_site(file, STUDY)
        greet(file, STUDY)
        replies.append(trained(file, STUDY))
    for name, array in replies[0].arrays.items():
        assert (array != replies[1].arrays[name]).all()


def test_private_training_needs_a_handshake_first(file: Path) -> None:
    assert code(ask(file, STUDY, train_order(STUDY))) == "NOT_PREPARED"
    assert charges(file) == []


def test_heads_of_other_sites_are_kept_under_our_signature(file: Path) -> None:
    greet(file, STUDY)
    trained(file, STUDY, heads='{"00112233aabbccdd": [7, "' + "e" * 64 + '"]}')
    assert open_ledger(read_site(file)).entries("head")[-1].body["seen"] == {"00112233aabbccdd": [7, "e" * 64]}
    assert code(ask(file, STUDY, train_order(STUDY, 2, heads="[1]"))) == "MESSAGE_INVALID"


def test_test_statistics_leave_once_and_only_after_the_last_round(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (20, 20, 20), sections="[disclosure]\nmin_patients = 4\n")
    prepared_site(file, STUDY)
    greet(file, STUDY)
    final = Order(STUDY.digest, take_arrays(new_model(STUDY)))
    assert code(ask(file, STUDY, final, "evaluate")) == "ROUND_INVALID"
    for round_ in (1, 2, 3):
        trained(file, STUDY, round_)
    assert not ask(file, STUDY, final, "evaluate").has_error()
    assert code(ask(file, STUDY, final, "evaluate")) == "ROUND_INVALID"
    assert code(ask(file, STUDY, final, "evaluate", run=2)) == "ROUND_INVALID"


def test_plain_updates_are_written_down_though_nobody_shook_hands(tmp_path: Path) -> None:
    file, plain = write_site(tmp_path / "A", (8, 8, 8), sections="[disclosure]\nmin_patients = 4\n"), tiny_study()
    prepared_site(file, plain)
    order = train_order(
        plain, gene_statistics=np.ones((2, 5)), gene_stats_sha256=sha256_bytes(np.ones((2, 5)).tobytes())
    )
    for _ in range(2):
        assert not ask(file, plain, order).has_error()
    (entry,) = open_ledger(read_site(file)).entries("aux")
    assert entry.body["what"] == PLAIN_UPDATES


def test_features_prepared_anew_in_mid_run_are_written_down(file: Path) -> None:
    greet(file, STUDY)
    trained(file, STUDY, 1)
    (file.parent / "data" / "exclude.csv").write_text("case_id,date,reason\nPATIENT-A-000,2026-11-29,withdrew\n")
    trained(file, STUDY, 2)
    cohorts = open_ledger(read_site(file)).entries("cohort")
    assert [(entry.body["version"], entry.body["excluded"]) for entry in cohorts] == [(1, "<10"), (2, "<10")]
    assert cohorts[0].body["keys_sha256"] != cohorts[1].body["keys_sha256"]


def test_heads_beyond_all_measure_are_refused_before_anything_is_charged(file: Path) -> None:
    greet(file, STUDY)
    assert code(ask(file, STUDY, train_order(STUDY, heads='{"a": [1, "' + "e" * 300_000 + '"]}'))) == "MESSAGE_INVALID"
    assert charges(file) == []
