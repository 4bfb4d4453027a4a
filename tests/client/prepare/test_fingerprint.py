import errno
import json
import os

import pytest

from client.prepare import fingerprint
from client.prepare.fingerprint import FileHashes, inputs_sha256
from client.prepare.settings import PrepareSettings
from shared.digests import sha256_file
from shared.study import Slides

SETTINGS = PrepareSettings(modalities=("slides",), slides=Slides())


def inputs(site):
    return inputs_sha256(site, SETTINGS, FileHashes(site), {}, lambda *_: None)


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read."""
    names = []
    monkeypatch.setattr(fingerprint, "sha256_file", lambda path: names.append(path.name) or sha256_file(path))
    return names


def test_an_unchanged_file_is_read_once(make_site, read, tmp_path):
    site = make_site({"clinical.tsv": "case_id\nP\n"})
    (tmp_path / "series").mkdir()
    (tmp_path / "series/a.dcm").write_text("a")
    (site.data / "slides/s").symlink_to(tmp_path / "series")
    first = inputs(site)
    assert inputs(site) == first
    assert sorted(read) == ["a.dcm", "clinical.tsv"]
    (tmp_path / "series/a.dcm").write_text("other")
    assert inputs(site) != first


def test_a_series_under_another_name_is_another_input(make_site):
    site = make_site({})
    (site.data / "slides/s").mkdir()
    (site.data / "slides/s/a.dcm").write_text("a")
    first = inputs(site)
    (site.data / "slides/s").rename(site.data / "slides/t")
    assert inputs(site) != first


@pytest.mark.parametrize(
    "content", ["", '{"clinical.tsv": [1,', "[]", '{"clinical.tsv": 3}', '{"clinical.tsv": [1]}', "\0"]
)
def test_a_damaged_memory_is_an_empty_one(make_site, read, content):
    site = make_site({"clinical.tsv": "case_id\nP\n"})
    first = inputs(site)
    (site.state / "files.json").write_text(content)
    assert inputs(site) == first
    assert read == ["clinical.tsv", "clinical.tsv"]
    assert list(json.loads((site.state / "files.json").read_text())) == ["clinical.tsv"]


def test_links_to_nothing_pipes_and_odd_names(make_site):
    site = make_site({})
    (site.data / "slides/a.svs").symlink_to(site.data / "nowhere")
    (site.data / "slides/b").symlink_to("b")
    os.mkfifo(site.data / "slides/c")
    before = inputs(site)
    (site.data / os.fsdecode(b"K\xf6ln.tsv")).write_text("x")
    assert inputs(site) != before


def test_a_file_that_cannot_be_read_is_an_input_all_the_same(make_site, monkeypatch):
    site = make_site({"clinical.tsv": "case_id\nP\n"})
    whole = inputs(site)
    (site.state / "files.json").unlink()

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(fingerprint, "sha256_file", refuse)
    assert inputs(site) == inputs(site) != whole


def test_names_can_be_forgotten(make_site):
    site = make_site({"clinical.tsv": "case_id\nP\n", "blood.csv": "x\n"})
    hashes = FileHashes(site)
    for name in ("clinical.tsv", "blood.csv"):
        hashes.of(site.data / name)
    assert hashes.forget(lambda name: name == "blood.csv") == 1
    hashes.save()
    assert list(json.loads((site.state / "files.json").read_text())) == ["clinical.tsv"]
