"""Files over real HTTP: cut, damaged, refused and slow servers."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import BadInput, WorkFailed
from simulations.tcga.download import Checked, fetch_files, missing_bytes
from simulations.tcga.gdc import SERVER, Gdc, GdcFile, Patience
from tests.gdc_server import FakeGdc, serving

Connect = Callable[..., Gdc]
CONTENT = os.urandom(3_000_001)


@pytest.fixture
def big(gdc: FakeGdc) -> GdcFile:
    gdc.add_file("big", "big.svs", CONTENT, cases=[])
    return _file("big", CONTENT)


def _file(file_id: str, content: bytes) -> GdcFile:
    return GdcFile(file_id, f"{file_id}.svs", len(content), hashlib.md5(content).hexdigest(), (), (), "")


def _fetch(gdc: Gdc, file: GdcFile, folder: Path, checked: Checked | None = None) -> int:
    checked = checked or Checked(folder / "checked.txt")
    return fetch_files(
        gdc, {folder / file.name: file}, checked, workers=2, progress=lambda what, done, total: None, what="big"
    )


def test_a_cut_download_goes_on_where_it_was_cut(gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path) -> None:
    gdc.faults["big"] = ["cut", "cut"]
    assert _fetch(connect(), big, tmp_path) == 1
    assert (tmp_path / "big.svs").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert gdc.asked("big") == ["", f"bytes={half}-", f"bytes={half + (len(CONTENT) - half) // 2}-"]
    assert not (tmp_path / "big.svs.part").exists()


def test_a_server_without_ranges_is_read_from_the_start(
    gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path
) -> None:
    gdc.ranges, gdc.faults["big"] = False, ["cut"]
    _fetch(connect(), big, tmp_path)
    assert (tmp_path / "big.svs").read_bytes() == CONTENT


def test_a_wrong_checksum_is_fetched_once_more(gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path) -> None:
    gdc.faults["big"] = ["wrong"]
    _fetch(connect(), big, tmp_path)
    assert (tmp_path / "big.svs").read_bytes() == CONTENT
    assert gdc.asked("big") == ["", ""]


def test_a_checksum_that_is_wrong_twice_is_an_error(
    gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path
) -> None:
    gdc.faults["big"] = ["wrong", "wrong"]
    with pytest.raises(
        WorkFailed, match=f"file big of the GDC: expected the checksum {big.md5}, got another one twice"
    ):
        _fetch(connect(), big, tmp_path)
    assert not (tmp_path / "big.svs").exists()
    assert not (tmp_path / "big.svs.part").exists()


def test_what_another_program_left_too_long_is_fetched_again(
    gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path
) -> None:
    (tmp_path / "big.svs.part").write_bytes(CONTENT + b"more")
    _fetch(connect(), big, tmp_path)
    assert (tmp_path / "big.svs").read_bytes() == CONTENT


def test_busy_and_failing_servers_are_asked_again(gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path) -> None:
    gdc.faults["big"] = ["429", "500"]
    _fetch(connect(), big, tmp_path)
    assert len(gdc.asked("big")) == 3
    gdc.faults["manifest"] = ["429", "503"]
    assert connect().manifest(["big"]).splitlines()[1].split("\t")[2] == big.md5


def test_retry_after_is_obeyed(gdc: FakeGdc, connect: Connect) -> None:
    gdc.retry_after, gdc.faults["manifest"] = "1", ["429"]
    started = time.monotonic()
    connect().manifest(["e1"])
    assert 1 <= time.monotonic() - started < 5


@pytest.mark.parametrize(("fault", "said"), [("429", "status 429 3 times"), ("500", "status 500 3 times")])
def test_a_server_that_stays_busy_is_given_up(gdc: FakeGdc, connect: Connect, fault: str, said: str) -> None:
    gdc.faults["cases"] = [fault] * 9
    with pytest.raises(WorkFailed, match=f"/cases: expected an answer, got {said}; finished files are kept"):
        connect().hits("cases", {"op": "and", "content": []}, ["submitter_id"], "submitter_id")
    assert len(gdc.asked("cases")) == 3


def test_a_file_that_is_gone_is_not_asked_for_twice(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="file gone of the GDC: expected its bytes, got status 404; it may have been"):
        _fetch(connect(), _file("gone", b"x"), tmp_path)
    assert gdc.asked("gone") == [""]


def test_the_other_files_come_though_one_fails(gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path) -> None:
    wanted = {tmp_path / "big.svs": big, tmp_path / "a": _file("gone", b"x"), tmp_path / "b": _file("lost", b"x")}
    with pytest.raises(WorkFailed, match=r"file gone .* \(and 1 more files\)"):
        fetch_files(connect(), wanted, Checked(tmp_path / "c"), workers=1, progress=lambda *_: None, what="big")
    assert (tmp_path / "big.svs").read_bytes() == CONTENT


def test_no_server_no_answer(tmp_path: Path) -> None:
    with serving(FakeGdc()) as closed:
        url = closed.url
    with Gdc(url, Patience(2, 0.01)) as gdc, pytest.raises(WorkFailed, match="got no connection 2 times"):
        gdc.manifest(["a"])
    with pytest.raises(BadInput, match=f"--server: expected an address such as {SERVER}, got 'nowhere'"):
        Gdc("nowhere")


def test_another_server_is_told(gdc: FakeGdc, connect: Connect) -> None:
    connection = connect()
    connection.server += "/elsewhere"
    with pytest.raises(BadInput, match="/elsewhere/manifest: expected an answer, got status 404; check --server"):
        connection.manifest(["a"])


def test_at_most_so_many_files_at_once(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    running, most, lock = 0, 0, threading.Lock()

    class Counting(Gdc):
        def data(self, file: GdcFile, start: int):  # type: ignore[no-untyped-def]
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return super().data(file, start)

    wanted = {tmp_path / f"{number}": _file(f"e{number}", gdc.content[f"e{number}"]) for number in range(5)}
    with Counting(gdc.url) as connection:
        fetch_files(connection, wanted, Checked(tmp_path / "c"), workers=2, progress=lambda *_: None, what="x")
    assert most == 2


def test_a_whole_file_is_read_once_and_a_changed_one_again(
    gdc: FakeGdc, connect: Connect, big: GdcFile, tmp_path: Path
) -> None:
    path = tmp_path / "big.svs"
    _fetch(connect(), big, tmp_path)
    assert missing_bytes({path: big}) == 0
    state = path.stat()
    path.write_bytes(b"?" + CONTENT[1:])  # the size fits, the checksum does not
    assert _fetch(connect(), big, tmp_path) == 1
    assert path.read_bytes() == CONTENT
    path.write_bytes(b"?" + CONTENT[1:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # exactly the state that was found whole: not read again
    assert _fetch(connect(), big, tmp_path) == 0
    assert not Checked(tmp_path / "none").whole(path, big)
