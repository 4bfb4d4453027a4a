import json
import shutil
import socket

import pytest

from client.prepare.blood import template
from client.prepare.blood.local_llm import LlmDescriber, model_digest, open_llm, prompt
from client.prepare.blood.results import Result
from shared.errors import SiteFileError

HIGH, NORMAL = Result("6768-6", 312, 45, 125), Result("718-7", 14, 12, 16)


class Stub:
    """A model that always says the same, and counts how often it was asked."""

    def __init__(self, text: str) -> None:
        self.text, self.questions = text, []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        return self.text


def test_the_prompt_holds_the_abnormal_results_only():
    question = prompt([HIGH, NORMAL])
    assert "- Alkaline phosphatase is elevated (312 U/L, reference 45-125), 2.5 times the upper limit." in question
    assert "Hemoglobin" not in question


def test_an_accepted_text_is_used_and_kept(tmp_path, report):
    stub = Stub("  The alkaline phosphatase\nis raised at 312 U/L. ")
    describe = LlmDescriber(stub, "model", tmp_path / "texts", report)
    text = "The alkaline phosphatase is raised at 312 U/L."
    assert describe([HIGH, NORMAL]) == describe([HIGH]) == text
    assert len(stub.questions) == 1  # the second time the kept text is read
    assert report.rows == []
    (kept,) = (tmp_path / "texts").iterdir()
    assert json.loads(kept.read_text()) == {"text": text, "refused": ""}
    assert kept.stat().st_mode & 0o777 == 0o600
    again = Stub("something else")
    assert LlmDescriber(again, "model", tmp_path / "texts", report)([HIGH]) == text
    assert again.questions == []


def test_another_model_is_asked_anew(tmp_path, report):
    LlmDescriber(Stub("ALP is high."), "one", tmp_path, report)([HIGH])
    assert LlmDescriber(Stub("ALP is raised."), "two", tmp_path, report)([HIGH]) == "ALP is raised."


def test_a_refused_text_gives_way_to_the_template_and_is_recorded(tmp_path, report):
    stub = Stub("ALP is 999.")
    describe = LlmDescriber(stub, "model", tmp_path, report)
    assert describe([HIGH]) == describe([HIGH]) == template.describe([HIGH])
    assert len(stub.questions) == 1
    assert [(row.file, row.state) for row in report.rows] == [("blood.csv", "noted")] * 2
    reason = "the language model's text was not used: a number that the results do not hold; the template's is ("
    assert report.rows[0].reason.startswith(reason)


def test_nothing_is_asked_about_a_patient_without_an_abnormal_result(tmp_path, report):
    stub = Stub("")
    assert LlmDescriber(stub, "model", tmp_path, report)([NORMAL]) == template.NONE_ABNORMAL
    assert stub.questions == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"refused": ""}'])
def test_a_damaged_memory_is_written_again(tmp_path, report, damage):
    LlmDescriber(Stub("ALP is high."), "model", tmp_path, report)([HIGH])
    (kept,) = tmp_path.glob("*.json")
    kept.write_text(damage)
    assert LlmDescriber(Stub("ALP is raised."), "model", tmp_path, report)([HIGH]) == "ALP is raised."
    assert json.loads(kept.read_text())["text"] == "ALP is raised."


def test_the_digest_follows_the_files(causal, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(causal, folder)
    assert model_digest(folder) == model_digest(causal)
    (folder / "config.json").write_text("{}")
    assert model_digest(folder) != model_digest(causal)


def test_the_garbage_of_a_random_model_is_refused(causal, tmp_path, report, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("client.prepare.blood.local_llm.MAX_NEW_TOKENS", 24)
    write = open_llm(causal, "cpu")
    said = write(prompt([HIGH]))
    assert said
    assert open_llm(causal, "cpu")(prompt([HIGH])) == said  # greedy: the same again
    assert LlmDescriber(write, model_digest(causal), tmp_path, report)([HIGH]) == template.describe([HIGH])
    assert [row.state for row in report.rows] == ["noted"]


def test_a_chat_model_is_asked_in_its_own_form(causal, tmp_path, monkeypatch):
    monkeypatch.setattr("client.prepare.blood.local_llm.MAX_NEW_TOKENS", 4)
    folder = tmp_path / "chat"
    shutil.copytree(causal, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ messages[0]['content'] | upper }}" + " hemoglobin" * 20
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert open_llm(folder, "cpu")("limit") != open_llm(causal, "cpu")("limit")


def test_a_folder_without_a_causal_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        SiteFileError, match=r"expected a causal language model in safetensors .*; correct \[blood\] llm"
    ):
        open_llm(tmp_path, "cpu")("question")
