"""A ledger on a real disk: shared by processes, cut off, edited, put back, copied, moved."""

import os
import shutil
import signal
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import shared.privacy.chain
import shared.privacy.ledger_file
import shared.privacy.new_file
import shared.privacy.writer
from shared.errors import Refused
from shared.privacy.chain import Chain
from shared.privacy.events import Event
from shared.privacy.ledger import FILE, KEY, Ledger
from tests.ledgers import drop_triggers, python, tampered

ROUND = {"digest": "d" * 64, "run": "1", "round": 1, "sample_rate": 0.25, "sigma": 2.0, "steps": 4}

APPEND = """
import sys
from pathlib import Path
from shared.privacy.ledger import Ledger
print(Ledger.open(Path(sys.argv[1]), "A").append("audit").seq)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven entries, a head in the middle."""
    ledger = Ledger.open(tmp_path / "privacy", "A")
    for kind in ("audit", "charge", "released"):
        ledger.append(kind, **(ROUND if kind == "charge" else {"charge": 2}))
    ledger.append("head", parent="")
    for number in (5, 6, 7):
        ledger.append("audit", number=number)
    return tmp_path / "privacy"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The entries that were verified since, by number."""
    seqs: list[int] = []
    real = Chain.take

    def take(self: Chain, row: shared.privacy.chain.Row) -> object:
        seqs.append(row.seq)
        return real(self, row)

    monkeypatch.setattr(Chain, "take", take)
    return seqs


def refusal(folder: Path, site: str = "A") -> Refused:
    with pytest.raises(Refused) as caught:
        Ledger.open(folder, site)
    return caught.value


def test_entries_are_numbered_dated_and_chained(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    entries = ledger.entries()
    assert [entry.seq for entry in entries] == list(range(1, 8))
    assert [entry.prev for entry in entries] == ["0" * 64, *(entry.hash for entry in entries[:-1])]
    assert [entry.kind for entry in entries if entry.sig] == ["head"]
    assert entries[0].body["software"].startswith("mmfed ")
    assert len(entries[0].body["ts"]) == len("2026-01-31T10:00:00+00:00")
    assert ledger.verify().faults == ledger.verify().warnings == ()


def test_entries_are_found_by_kind_and_number(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    assert [entry.seq for entry in ledger.entries("audit")] == [1, 5, 6, 7]
    assert [entry.seq for entry in ledger.entries("audit", "charge", after=1)] == [2, 5, 6, 7]
    assert [entry.seq for entry in ledger.entries(after=6)] == [7]
    assert ledger.entries("revoked") == []
    last, any_, none = ledger.last("audit", "charge"), ledger.last(), ledger.last("revoked")
    assert (last and last.seq, any_ and any_.seq, none) == (7, 7, None)
    assert [entry and entry.kind for entry in (ledger.at(2), ledger.at(4))] == ["charge", "head"]
    assert ledger.at(8) is ledger.at(0) is None


def test_a_transaction_sees_its_own_entries(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    with ledger.writing() as writer:
        assert writer.spent() == (Event(0.25, 2.0, 4),)
        first = writer.append("charge", **ROUND)
        second = writer.append("head", parent=ledger.entries("head")[-1].hash)
        assert (first.seq, second.seq, second.prev) == (8, 9, first.hash)
        assert [entry.seq for entry in writer.entries("charge", "head")] == [2, 4, 8, 9]
        assert [entry.seq for entry in writer.entries(after=6)] == [7, 8, 9]
        assert (writer.last("charge"), writer.last("head")) == (first, second)
        assert [entry.seq for entry in ledger.entries("charge")] == [2]  # others see it once it is committed
        assert writer.spent() == (Event(0.25, 2.0, 8),)
    assert ledger.entries("charge", "head")[2:] == [first, second]
    assert ledger.verify().faults == ()


def test_an_exception_leaves_nothing_of_a_transaction(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")

    def fails_half_way() -> None:
        with ledger.writing() as writer:
            writer.append("charge", **ROUND)
            raise OSError("a file of patients")

    with pytest.raises(OSError, match="a file of patients"):
        fails_half_way()
    assert len(ledger.entries()) == 7
    assert ledger.append("audit").seq == 8
    assert ledger.verify().faults == ()


def test_what_a_ledger_cannot_hold_is_not_written(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    with pytest.raises(ValueError, match="expected a kind of aborted, .* got charged with "):
        ledger.append("charged", **ROUND)
    for own in ({"ts": "1999-01-01T00:00:00+00:00"}, {"software": "other"}):
        with pytest.raises(ValueError, match="and no field kind, software, ts"):
            ledger.append("audit", **own)
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.append("audit", value=float("nan"))
    with pytest.raises(KeyError, match="sigma"):
        ledger.append("charge", **{name: value for name, value in ROUND.items() if name != "sigma"})
    with pytest.raises(ValueError, match="a finite sigma > 0"):
        ledger.append("charge", **ROUND | {"sigma": -2.0})
    assert len(ledger.entries()) == 7


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = '{}' WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 7",
        "INSERT OR REPLACE INTO entry VALUES (2, '{}', '', 'x', NULL)",
        "INSERT INTO entry VALUES (99, '{}', '', 'x', NULL)",
        "INSERT INTO entry VALUES (NULL, '{}', '', 'x', NULL)",
    ],
)
def test_the_file_itself_forbids_any_change(folder: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(folder / FILE, isolation_level=None)) as base,
        pytest.raises(sqlite3.IntegrityError, match="a ledger entry is"),
    ):
        base.execute(statement)
    assert Ledger.open(folder, "A").verify().faults == ()


@pytest.mark.parametrize("seq", [1, 2, 4, 7])
def test_an_edit_is_found_at_the_edited_entry_even_by_a_process_that_knew_it(folder: Path, seq: int) -> None:
    ledger = Ledger.open(folder, "A")
    tampered(folder, "UPDATE entry SET body = replace(body, 'mmfed', 'mmfad') WHERE seq = ?", seq)
    for operation in (ledger.entries, lambda: ledger.append("audit"), lambda: Ledger.open(folder, "A")):
        with pytest.raises(Refused, match=f"got entry {seq}: its content does not have its hash") as caught:
            operation()
        assert caught.value.code == "LEDGER_BROKEN"
    walk = ledger.verify()
    assert walk.faults == (f"entry {seq}: its content does not have its hash: it was changed",)
    assert walk.entries == 7


def test_a_removed_entry_is_found(folder: Path) -> None:
    tampered(folder, "DELETE FROM entry WHERE seq = 3")
    assert "got entry 4: expected entry 3 after 2: entries are missing" in str(refusal(folder))


def test_missing_triggers_are_told(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as base:
        drop_triggers(base)
    walk = Ledger.open(folder, "A").verify()
    assert (walk.faults, walk.warnings) == (
        (),
        ("the triggers that forbid any change of an entry are not as they were made",),
    )


def test_reopening_verifies_only_what_is_new(folder: Path, taken: list[int]) -> None:
    Ledger.open(folder, "A")
    taken.clear()
    assert python(APPEND, folder).communicate(timeout=60) == ("8\n", "")
    Ledger.open(folder, "A").append("audit")
    Ledger.open(folder, "A")
    assert taken == [8, 9]


def test_a_file_that_was_replaced_is_verified_from_the_start(folder: Path, tmp_path: Path, taken: list[int]) -> None:
    shutil.copytree(folder, tmp_path / "kept")
    Ledger.open(folder, "A").append("audit")
    Ledger.open(folder, "A")
    taken.clear()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    assert len(Ledger.open(folder, "A").entries()) == 7
    assert taken == list(range(1, 8))


def test_two_that_open_the_first_time_at_once_share_one_ledger(tmp_path: Path) -> None:
    processes = [python(APPEND, tmp_path / "new") for _ in range(4)]
    told = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert told == ["1", "2", "3", "4"]
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [KEY, FILE]
    assert Ledger.open(tmp_path / "new", "A").verify().faults == ()


def test_threads_share_one_ledger(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")

    def append() -> None:
        for number in range(10):
            ledger.append("audit", number=number)
            assert ledger.entries("audit")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(append) for _ in range(4)]:
            done.result()
    assert len(ledger.entries()) == 47
    assert ledger.verify().faults == ()


def test_a_forked_process_goes_on_with_the_ledger(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    child = os.fork()
    if not child:
        os._exit(ledger.append("audit").seq)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    assert ledger.append("audit").seq == 9
    assert ledger.verify().faults == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from shared.privacy.ledger import Ledger
ledger, when = Ledger.open(Path(sys.argv[1]), "A"), sys.argv[2]
with ledger.writing() as writer:
    writer.append("charge", digest="d", run="1", round=2, sample_rate=.25, sigma=2.0, steps=4)
    if when == "inserted":
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "steps"), [("inserted", 4), ("committed", 8)])
def test_a_killed_process_has_charged_all_or_nothing(folder: Path, when: str, steps: int) -> None:
    process = python(KILLED, folder, when)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == -signal.SIGKILL
    ledger = Ledger.open(folder, "A")
    assert ledger.ask(lambda tally: tally.events()) == (Event(0.25, 2.0, steps),)
    assert ledger.verify().faults == ()
    assert ledger.append("audit").seq == 8 + (when == "committed")


FULL = """
import resource, sys
from pathlib import Path
from shared.errors import Refused
from shared.privacy.ledger import Ledger
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
written = 0
try:
    ledger = Ledger.open(folder, "A")
    while True:
        ledger.append("audit", text="x" * 1000)
        written += 1
except Refused as exc:
    print(written, exc.code, exc)
"""


def test_a_full_disk_refuses_and_leaves_a_whole_ledger(folder: Path) -> None:
    told = python(FULL, folder, 64 * 1024).communicate(timeout=60)
    written, code, message = told[0].split(" ", 2)
    assert code == "LEDGER_FAILED"
    assert "expected to open and write the privacy ledger" in message
    assert "nothing was written; free some space on that disk" in message
    ledger = Ledger.open(folder, "A")
    assert int(written) > 5
    assert len(ledger.entries()) == 7 + int(written)
    assert ledger.append("audit").seq == 8 + int(written)
    assert ledger.verify().faults == ()


def test_a_disk_that_is_full_from_the_start_gets_no_half_ledger(tmp_path: Path) -> None:
    told = python(FULL, tmp_path / "privacy", 0).communicate(timeout=60)
    assert told[0].startswith("0 LEDGER_FAILED"), told
    assert list((tmp_path / "privacy").iterdir()) == []


def test_a_ledger_that_another_holds_is_refused_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.privacy.ledger_file, "WAIT_SECONDS", 0.2)
    ledger = Ledger.open(folder, "A")
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refused, match="database is locked; another process has been writing for") as caught:
            ledger.append("audit")
        assert len(Ledger.open(folder, "A").entries()) == 7  # reading waits for nobody
    assert caught.value.code == "LEDGER_FAILED"
    assert ledger.append("audit").seq == 8


def test_a_newer_schema_is_refused_by_name(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as base:
        base.execute("PRAGMA user_version = 2")
    refused = refusal(folder)
    assert refused.code == "LEDGER_FAILED"
    assert "expected a ledger of schema 1, got schema 2 of a newer version of mmfed; run that version" in str(refused)


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_another_file_in_its_place_is_refused(folder: Path, content: bytes) -> None:
    (folder / FILE).write_bytes(content)
    assert refusal(folder).code == "LEDGER_BROKEN"


def test_damaged_pages_are_refused(folder: Path) -> None:
    whole = (folder / FILE).read_bytes()
    entries, index = 1, 2
    for page in (entries, index):
        content = bytearray(whole)
        content[4096 * page : 4096 * (page + 1)] = b"\xff" * 4096
        (folder / FILE).write_bytes(content)
        with pytest.raises(Refused, match="malformed") as caught:
            Ledger.open(folder, "A").append("audit")
        assert caught.value.code == "LEDGER_BROKEN"


def test_places_where_no_ledger_can_lie_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "else")
    for place in ("file", "file/privacy", "dangling"):
        refused = refusal(tmp_path / place)
        assert refused.code == "LEDGER_FAILED"
        assert "expected to open and write the privacy ledger" in str(refused)
    assert not (tmp_path / "nowhere").exists()


READONLY = """
import os, sys
from pathlib import Path
from shared.errors import Refused
from shared.privacy.ledger import Ledger
from shared.privacy.signer import KeyFile
key = KeyFile(Path(sys.argv[1]) / "ledger.key")
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Ledger.open(Path(sys.argv[1]), "A", signer=key)
except Refused as exc:
    print(exc.code, exc)
"""


def test_a_place_that_may_only_be_read_is_refused(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(shutil.copytree(folder, Path(name) / "privacy"))
        Path(name).chmod(0o755)
        (place / FILE).chmod(0o444)
        place.chmod(0o555)
        told, error = python(READONLY, place).communicate(timeout=60)
        place.chmod(0o755)
    assert error == ""
    assert told.startswith("LEDGER_FAILED")
    assert "let the user who runs mmfed write there" in told


def test_a_ledger_without_its_key_and_a_key_without_its_ledger_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    (folder / KEY).unlink()
    refused = refusal(folder)
    assert refused.code == "LEDGER_BROKEN"
    assert "expected the key of the privacy ledger" in str(refused)
    (tmp_path / "other" / FILE).unlink()
    refused = refusal(tmp_path / "other")
    assert refused.code == "LEDGER_BROKEN"
    assert "expected the privacy ledger beside its key" in str(refused)


def test_the_key_of_another_ledger_is_refused(folder: Path, tmp_path: Path) -> None:
    Ledger.open(tmp_path / "other", "A")
    shutil.copy(tmp_path / "other" / KEY, folder / KEY)
    assert "entry 4: its signature was not made by the key of this ledger" in str(refusal(folder))


def test_a_deleted_folder_gives_another_key(folder: Path) -> None:
    before = Ledger.open(folder, "A")
    shutil.rmtree(folder)
    after = Ledger.open(folder, "A")
    assert after.public_key != before.public_key
    assert after.entries() == []
    assert after.head() is None


def test_a_clock_set_back_is_warned_of_and_counts_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.open(folder, "A")
    monkeypatch.setattr(shared.privacy.writer, "now", lambda: "2001-01-01T00:00:00+00:00")
    with capture_logs() as logs:
        ledger.append("charge", **ROUND)
    assert [(line["event"], line["log_level"]) for line in logs] == [("clock set back", "warning")]
    assert ledger.ask(lambda tally: tally.events()) == (Event(0.25, 2.0, 8),)
    walk = Ledger.open(folder, "A").verify()
    assert walk.faults == ()
    (warning,) = walk.warnings
    assert warning.startswith("entry 8: dated 2001-01-01T00:00:00+00:00, before the entry ahead of it")


def test_the_head_is_the_last_one_that_was_signed_for_export(folder: Path) -> None:
    ledger = Ledger.open(folder, "A")
    entry = ledger.last("head")
    head = ledger.head()
    assert head is not None
    assert entry is not None
    assert (head.site, head.seq, head.hash, head.parent) == ("A", 4, entry.hash, "")
    assert head.genuine()
    assert head == ledger.verify().head


def synchronous(ledger: Ledger) -> int:
    with ledger._connected() as connection:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])


def test_only_a_simulation_leaves_it_to_the_system_when_its_ledger_is_on_disk(tmp_path: Path) -> None:
    assert synchronous(Ledger.open(tmp_path / "site", "A")) == 2  # FULL
    simulated = Ledger.open(tmp_path / "simulated", "A", durable=False)
    assert synchronous(simulated) == 0
    simulated.append("audit")
    assert Ledger.open(tmp_path / "simulated", "A").verify().entries == 1  # the same file, read by the same rules


def test_a_ledger_that_is_not_durable_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(shared.privacy.new_file.os, "fsync", synced.append)
    Ledger.open(tmp_path / "simulated", "A", durable=False)
    assert synced == []
    Ledger.open(tmp_path / "site", "A")
    assert len(synced) == 4  # file and folder, of the ledger and of its key
