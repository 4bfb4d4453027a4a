"""Patients of a cohort's source who are not in its folder are counted by reason."""

from collections import Counter
from pathlib import Path

import pytest

from shared.errors import CohortError
from simulations.left_out_file import LEFT_OUT_FILE, left_out_csv, left_out_of


def test_the_file_reads_back(tmp_path: Path) -> None:
    assert left_out_of(tmp_path) == Counter()
    counts = {"no hospital is named": 1, "no consent, or withdrawn": 12}
    (tmp_path / LEFT_OUT_FILE).write_text(left_out_csv(counts))
    assert left_out_of(tmp_path) == counts


def test_every_fault_is_listed(tmp_path: Path) -> None:
    lines = ["reason,patients", "no consent,2", "no consent,3", ",1", "moved,0", "lost,-1", "died,1.5", "gone,\u0663"]
    (tmp_path / LEFT_OUT_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(CohortError) as caught:
        left_out_of(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / LEFT_OUT_FILE}: 6 faults",
        "  line 3: expected a reason that stands once, got 'no consent'; correct it",
        "  line 4: expected a reason that stands once, got ''; correct it",
        "  line 5: expected patients as a whole number from 1, got '0'; correct it",
        "  line 6: expected patients as a whole number from 1, got '-1'; correct it",
        "  line 7: expected patients as a whole number from 1, got '1.5'; correct it",
        "  line 8: expected patients as a whole number from 1, got '\u0663'; correct it",
    ]


def test_a_column_too_few_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEFT_OUT_FILE).write_text("reason,number\nmoved,1\n")
    with pytest.raises(CohortError, match="line 1: expected a column 'patients', got none; add it"):
        left_out_of(tmp_path)
