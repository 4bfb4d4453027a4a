"""Log lines for people."""

import json

import pytest
import structlog

from shared.logs import configure_logs


@pytest.fixture(autouse=True)
def _reset():
    yield
    structlog.reset_defaults()


def test_plain_lines_are_sentences_with_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level=30, plain=True)
    log = structlog.get_logger()
    log.warning("The cohort has no blood.")
    log.error("a training failed", name="local", reason="diverged")
    log.info("not shown")
    assert capsys.readouterr().err == (
        "warning: The cohort has no blood.\nerror: a training failed (name local, reason diverged)\n"
    )


def test_a_plain_line_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(plain=True)
    try:
        raise KeyError("gone")
    except KeyError:
        structlog.get_logger().exception("no such thing")
    said, *trace = capsys.readouterr().err.splitlines()
    assert said == "error: no such thing"
    assert trace[-1] == "KeyError: 'gone'"


def test_machines_read_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().warning("said")
    assert json.loads(capsys.readouterr().err)["event"] == "said"
