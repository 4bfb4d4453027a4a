"""Forest floors: asked for, repeatable, and better than chance."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from simulations.adapt import override
from simulations.baselines import score_baselines
from simulations.fold import make_folds
from simulations.forests import forest_name, forest_notes
from simulations.scores import measure_scores

SURVIVAL = ('task={ kind="survival", time_column="os_months", event_column="os_event", time_edges=[12, 24] }',)


def test_a_forest_is_a_floor_where_it_is_asked_for(tiny: Any) -> None:
    (fold,) = tiny.folds()
    assert "random_forest" not in score_baselines(fold)
    first, again = (score_baselines(fold, forests=True)["random_forest"] for _ in range(2))
    np.testing.assert_array_equal(first.own.scores, again.own.scores)
    np.testing.assert_allclose(first.own.scores.sum(axis=1), 1.0)
    found = measure_scores(first, fold)
    assert found["own"].point["auc"][0] > 0.7
    assert forest_notes(fold.study) == []


def test_survival_needs_a_library_and_says_so(tiny: Any) -> None:
    (fold,) = make_folds(tiny.hospitals, override(tiny.study, SURVIVAL), 20, None)
    floors = score_baselines(fold, forests=True)
    if find_spec("sksurv"):
        assert measure_scores(floors["random_survival_forest"], fold)["own"].point["c_index"][0] > 0.5
        assert forest_name(fold.study) == "random_survival_forest"
    else:
        assert "random_survival_forest" not in floors
        (note,) = forest_notes(fold.study)
        assert note.endswith("it needs scikit-survival, which is not installed.")


@pytest.mark.skipif(find_spec("sksurv") is None, reason="scikit-survival is not installed")
def test_survival_curves_fall(tiny: Any) -> None:
    (fold,) = make_folds(tiny.hospitals, override(tiny.study, SURVIVAL), 20, None)
    curves = score_baselines(fold, forests=True)["random_survival_forest"].own.scores
    assert (np.diff(curves, axis=1) <= 0).all()
