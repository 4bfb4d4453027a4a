"""Reading TOML: files that are not there, not text, not TOML."""

from pathlib import Path

import pytest

from shared.documents import contradictions
from shared.errors import StudyError
from shared.study import read_study


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"gone\.toml: expected a readable TOML file, got No such file .*; check the"):
        read_study(tmp_path / "gone.toml")


def test_other_bytes_than_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match="expected UTF-8 text, got other bytes; save the file as UTF-8"):
        read_study(tmp_path / "study.toml")


def test_a_syntax_error_is_placed(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("schema = 1\nname = \n")
    with pytest.raises(StudyError, match=r"expected TOML, got a syntax error: .*line 2.*; mend that line"):
        read_study(tmp_path / "study.toml")


def test_a_date_where_a_text_belongs_is_still_a_study(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("schema = 1979-05-27\n")
    with pytest.raises(StudyError, match='schema: expected 1, got "1979-05-27"; correct the value'):
        read_study(tmp_path / "study.toml")


def test_contradictions_come_together() -> None:
    contradictions([])
    with pytest.raises(ValueError, match="^a\nb$"):
        contradictions(["a", "b"])
