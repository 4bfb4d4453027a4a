"""A checkpoint holds all of it, and is the old or the new one."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import server.checkpoint
from server.checkpoint import Checkpoint, read_checkpoint, write_atomically, write_checkpoint
from shared.errors import WorkFailed

STATE = Checkpoint(
    digest="d" * 64,
    round=2,
    arrays={"head.w": np.array([[1.5, -2.0]], dtype=np.float32)},
    gene_statistics=np.array([[1.0, 2.0], [3.0, 1 / 3]]),
    strategy={"fusion/m_t/head.w": np.array([[0.1, 0.2]])},
    greetings={"A": {"version": "0.1.0", "encoders": {"slides": ""}, "buckets": {"fusion": "20-49"}}},
    rounds=[{"round": 1, "loss": 0.1 + 0.2, "sites": {}}, {"round": 2, "loss": 1e-7, "sites": {}}],
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoints", STATE)
    found = read_checkpoint(tmp_path / "checkpoints", STATE.digest)
    assert found is not None
    for name in ("arrays", "strategy"):
        one, two = getattr(STATE, name), getattr(found, name)
        assert {key: (a.dtype, a.tobytes()) for key, a in one.items()} == {
            key: (a.dtype, a.tobytes()) for key, a in two.items()
        }
    assert found.gene_statistics is not None
    assert found.gene_statistics.tobytes() == STATE.gene_statistics.tobytes()  # type: ignore[union-attr]
    for name in ("digest", "round", "greetings", "rounds"):
        assert getattr(found, name) == getattr(STATE, name)


def test_a_study_without_genes(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Checkpoint("d", 0, STATE.arrays, None))
    found = read_checkpoint(tmp_path, "d")
    assert found is not None
    assert found.gene_statistics is None
    assert found.strategy == {}


def test_before_the_first_round_there_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "nothing", "d") is None


def test_a_checkpoint_of_another_study_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE)
    with pytest.raises(WorkFailed, match="expected a checkpoint of study eeee.*, got .*dddd.*; use another folder"):
        read_checkpoint(tmp_path, "e" * 64)


def test_a_checkpoint_of_another_schema_is_refused(tmp_path: Path) -> None:
    save_file(dict(STATE.arrays), tmp_path / "latest.safetensors", metadata={"schema": "2"})
    with pytest.raises(WorkFailed, match="expected checkpoint schema 1, got 2; start a new run"):
        read_checkpoint(tmp_path, STATE.digest)


def test_a_crash_while_writing_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path, STATE)
    before = (tmp_path / "latest.safetensors").read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server.checkpoint.os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, Checkpoint(STATE.digest, 3, STATE.arrays, None))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "latest.safetensors", b"half of it")
    assert (tmp_path / "latest.safetensors").read_bytes() == before


def test_small_files_are_replaced_whole(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_atomically(tmp_path / "file", content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"two"}
