"""Which run a folder holds, and which may go on in it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadInput
from simulations.run_folder import Held, claim, refuse_other

RUN = Held("grade", "a" * 64, "lgg", "b" * 64)


@pytest.mark.parametrize("other", [{"digest": "c" * 64}, {"cohort": "gbm"}, {"patients": "d" * 64}])
def test_a_claimed_folder_takes_its_own_run_only(tmp_path: Path, other: dict[str, Any]) -> None:
    refuse_other(None, RUN)
    refuse_other(tmp_path / "new", RUN)
    claim(tmp_path / "new", RUN)
    refuse_other(tmp_path / "new", RUN)
    with pytest.raises(BadInput, match=r"got .*new, which holds grade \(digest aaaaaaaaaaaa, cohort lgg\).*; choose"):
        refuse_other(tmp_path / "new", replace(RUN, **other))


def test_a_finished_run_that_wrote_nothing_down_is_known_by_its_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"study": {"name": "grade", "digest": RUN.digest}}))
    refuse_other(tmp_path, RUN)
    with pytest.raises(BadInput, match=r"which holds grade \(digest aaaaaaaaaaaa\); choose another --out"):
        refuse_other(tmp_path, replace(RUN, digest="c" * 64))
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(BadInput, match="with a damaged file; choose another --out"):
        refuse_other(tmp_path, RUN)
