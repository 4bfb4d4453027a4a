"""What `submit` refuses, what it writes for the hospitals, and what it hands to Flower."""

import base64
import json
import tomllib
from pathlib import Path

import pytest

from server.submission import job_folder, message_bytes, read_submittable, run_config, write_resolved
from shared.cohort.genes import groups_digest
from shared.errors import StudyError
from shared.study import parse_study
from shared.study_file import read_resolved
from shared.weights import message_size
from tests.finished_runs import finished_run
from tests.server.conftest import CONTENT, STUDY


def test_the_resolved_file_has_the_digest_of_the_original(study_file: Path) -> None:
    study_file.write_text(STUDY + "[modalities.expression]\n[modalities.blood]\n")
    study = read_submittable(study_file)
    written = write_resolved(study, study_file)

    assert written == study_file.with_suffix(".json")
    assert read_resolved(written) == study
    assert read_resolved(written).digest == study.digest
    assert study.modalities.expression is not None
    assert len(study.modalities.expression.groups) == 6


def test_submitting_the_resolved_file_leaves_it_as_it_is(study_file: Path) -> None:
    written = write_resolved(read_submittable(study_file), study_file)
    before = written.read_bytes()
    assert write_resolved(read_submittable(written), written) == written
    assert written.read_bytes() == before


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bare.json"
    content = {**CONTENT, "task": {"kind": "classification", "column": "grade"}}
    del content["governance"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        StudyError, match=r"(?s)2 faults\n  governance: expected purpose.*\n  task.classes: expected the"
    ):
        read_submittable(path)


def test_the_section_of_the_error_about_governance_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace(STUDY[STUDY.index("[governance]") : STUDY.index("[task]")], ""))
    with pytest.raises(StudyError, match=r"deploy/README\.md") as caught:
        read_submittable(path)
    section = str(caught.value).partition("e.g.\n")[2]
    path.write_text(f"{path.read_text()}\n{section}\n")
    assert read_submittable(path).governance is not None


def test_the_classes_of_a_head_are_wanted_too(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    head = {"name": "side", "task": {"kind": "classification", "column": "side"}}
    path.write_text(json.dumps({**CONTENT, "heads": [head]}))
    with pytest.raises(StudyError, match=r"1 fault\n  heads.side.task.classes: expected the classes by name, got none"):
        read_submittable(path)


def test_a_model_larger_than_a_message_is_refused_with_its_size(study_file: Path) -> None:
    text = STUDY.replace('"linear"', '"s1_crossattn"\ndim = 1024') + "[federation]\nmax_message_mb = 1\n"
    study_file.write_text(text)
    with pytest.raises(
        StudyError, match=r"a model of at most 1 MB a message, got \d+\.\d MB; choose a smaller model.dim"
    ):
        read_submittable(study_file)


def test_message_bytes_are_at_least_those_of_the_offer(tmp_path: Path) -> None:
    genes = [f"GENE-{number}" for number in range(20_000)]
    expression = {"genes": "gmt", "groups": {"all": genes}, "genes_sha256": groups_digest({"all": genes})}
    study = parse_study({**CONTENT, "modalities": {**CONTENT["modalities"], "expression": expression}})
    offer = sum(path.stat().st_size for path in finished_run(tmp_path, study).iterdir())
    assert 4 * message_size(study) + 16 * len(genes) < offer < message_bytes(study) < offer + 200_000


def test_flower_gets_study_and_digest_in_a_file(study_file: Path, tmp_path: Path) -> None:
    study = read_submittable(study_file)
    path = run_config(study, tmp_path / "submitted")
    content = tomllib.loads(path.read_text())
    assert content["digest"] == study.digest
    assert base64.b64decode(content["study"]).decode() == study.canonical()


def test_flower_parses_that_file(study_file: Path, tmp_path: Path) -> None:
    from flwr.common.config import parse_config_args

    study = read_submittable(study_file)
    path = run_config(study, tmp_path)
    assert parse_config_args([str(path)]) == tomllib.loads(path.read_text())


def test_the_keys_of_the_run_config_are_those_of_the_bundle() -> None:
    job = tomllib.loads((job_folder() / "pyproject.toml").read_text())
    assert job["tool"]["flwr"]["app"]["config"] == {"study": "", "digest": ""}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("study.json", None, "expected a readable JSON file, got No such file"),
        ("study.json", "{", "expected JSON in UTF-8"),
        ("study.json", "[]", "expected a JSON object, got list"),
        ("study.toml", "schema = 1\nnme = 'x'", "(?s)nme: expected a known key.*write 'name'"),
    ],
)
def test_files_that_are_no_study_are_refused(tmp_path: Path, name: str, text: str | None, match: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(StudyError, match=match):
        read_submittable(tmp_path / name)
