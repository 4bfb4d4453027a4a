import errno
import os
from pathlib import Path

import pytest

from shared.cohort.folders import content, files_below, is_file, readable
from shared.errors import CohortError


def test_the_files_below_follow_links_and_end(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/one").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/two").touch()
    (tmp_path / "a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/b/ring").symlink_to(tmp_path / "a")
    (tmp_path / "a/dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "a/pipe")
    assert files_below(tmp_path / "a") == [tmp_path / "a/b/one", tmp_path / "a/linked/two"]
    assert files_below(tmp_path / "nowhere") == []


def test_what_lies_in_a_folder(tmp_path, monkeypatch):
    for name in ("b", "a"):
        (tmp_path / name).touch()
    assert content(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert content(tmp_path / "a") == content(tmp_path / "none") == []

    def gone(folder):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", gone)
    with pytest.raises(CohortError, match="expected a folder that can be read, got Permission denied; check"):
        content(tmp_path)


def test_a_file_on_a_share_that_is_gone_is_none(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    assert is_file(tmp_path / "a")

    def gone(path, **_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", gone)
    assert not is_file(tmp_path / "a")


def test_a_name_in_another_encoding_can_be_written():
    assert readable(os.fsdecode(b"K\xf6ln.svs")) == "K\\udcf6ln.svs"
    assert readable("Köln.svs") == "Köln.svs"
