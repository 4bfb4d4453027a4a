"""Who is tested, in one line, under every protocol."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.study import Study
from simulations.fold import load_sites
from simulations.tested import protocol_line

SMALL = "7 patients of 1 hospital too small to train (--min-site-patients 20)"


@pytest.mark.parametrize(
    ("protocol", "tested", "fate"),
    [
        ("leave-one-site-out", "75 patients of 3 hospitals", "are not tested"),
        ("patient-kfold", "82 patients of 4 hospitals", "are among them, as unseen"),
        ("preserved-site-kfold", "82 patients of 4 hospitals", "are among them, as unseen"),
    ],
)
def test_every_protocol_tells_whom_it_tests(
    tiny_cohort: Path,
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Any],
    tmp_path: Path,
    protocol: str,
    tested: str,
    fate: str,
) -> None:
    study = make_study(
        f"split.protocol={protocol}", "split.folds=2", "federation.quorum=1", "federation.branch_quorum=1"
    )
    prepared = make_prepared(tiny_cohort, study, tmp_path)
    sites, _ = load_sites(prepared.hospitals, prepared.study)
    line = protocol_line(prepared.folds(), {site: len(data.patients) for site, data in sites.items()}, 20)
    assert line == f"Tested by {protocol}: {tested}; {SMALL} {fate}"


def test_nobody_is_too_small(tiny: Any) -> None:
    sites, _ = load_sites(tiny.hospitals, tiny.study)
    sizes = {site: len(data.patients) for site, data in sites.items()}
    assert protocol_line(tiny.folds(), {s: n for s, n in sizes.items() if s != "QQ"}, 20).endswith(
        "; no hospital is too small to train (--min-site-patients 20)"
    )
