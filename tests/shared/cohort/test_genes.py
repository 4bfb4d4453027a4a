"""Gene groups in GMT format."""

from pathlib import Path

import pytest

from shared.cohort.genes import groups_digest, packaged_panel, read_gmt, vocabulary
from shared.errors import CohortError


def test_the_vocabulary_is_the_sorted_union() -> None:
    assert vocabulary({"b": ["TP53", "EGFR"], "a": ["TP53", "ATRX"]}) == ("ATRX", "EGFR", "TP53")


def test_the_digest_ignores_order_and_repetition() -> None:
    assert groups_digest({"a": ["X", "Y"], "b": ["Z"]}) == groups_digest({"b": ["Z", "Z"], "a": ["Y", "X"]})
    assert groups_digest({"a": ["X"]}) != groups_digest({"b": ["X"]})


def test_the_packaged_panel() -> None:
    panel = packaged_panel()
    assert len(panel) == 6
    assert {"EGFR", "TP53", "IDH1"} <= set(vocabulary(panel))


def test_a_gmt_file(tmp_path: Path) -> None:
    (tmp_path / "g.gmt").write_text("one\tx\tTP53\tEGFR\t\tTP53\n\ntwo\t\tIDH1\r\n")
    assert read_gmt(tmp_path / "g.gmt") == {"one": ("EGFR", "TP53"), "two": ("IDH1",)}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "one\tx\n",
            r"g.gmt, line 1: expected name, description, genes; got fewer than three tab-separated cells; mend",
        ),
        ("one\tx\tA\none\tx\tB\n", r"line 2: expected .* got a repeated group; mend the line"),
        ("\n", "expected at least one gene group, got none; use a GMT file"),
    ],
)
def test_a_faulty_gmt_file(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "g.gmt").write_text(text)
    with pytest.raises(CohortError, match=fault):
        read_gmt(tmp_path / "g.gmt")


def test_a_missing_gmt_file(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"gone\.gmt: expected a readable GMT file, got .*; check the path"):
        read_gmt(tmp_path / "gone.gmt")
