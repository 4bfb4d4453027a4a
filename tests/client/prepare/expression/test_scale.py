import numpy as np
import pandas as pd
import pytest

from client.prepare.expression.scale import likely_scale, on_log_scale, scale_fault

rng = np.random.default_rng(0)
Z = pd.DataFrame(rng.normal(0, 1, (200, 30)))
TPM = pd.DataFrame(rng.lognormal(1.5, 2, (200, 30)))
LOG2 = np.log2(TPM + 1)
LOG2_SMALL = np.log2(TPM.where(TPM > 2, 0) + 0.001)  # -9.97 where nothing was measured


@pytest.mark.parametrize(("table", "scale"), [(Z, "z"), (TPM, "tpm"), (LOG2, "log2"), (LOG2_SMALL, "log2")])
def test_the_scale_of_a_table_is_recognised(table, scale):
    assert likely_scale(table) == scale
    assert likely_scale(table.mask(rng.random(table.shape) < 0.3)) == scale


def test_a_table_without_values_is_of_any_scale():
    empty = pd.DataFrame(np.full((2, 2), np.nan))
    assert likely_scale(empty) == "log2"
    assert scale_fault(empty, "z") == scale_fault(empty, "log2") == ""


def test_a_few_outliers_are_no_other_scale():
    wild = Z.copy()
    wild.iloc[:10, 0] = 3500.0  # 10 of 6000 cells
    assert scale_fault(wild, "z") == ""


@pytest.mark.parametrize(("table", "scale"), [(Z, "z"), (LOG2, "log2"), (LOG2_SMALL, "log2")])
def test_the_right_scale_has_no_fault(table, scale):
    assert scale_fault(table, scale) == ""


@pytest.mark.parametrize(
    ("table", "scale", "advice"),
    [
        (Z, "log2", 'write scale = "z" in [expression]'),
        (TPM, "log2", 'write scale = "tpm" or "counts" in [expression]'),
        (TPM, "z", 'write scale = "tpm" or "counts" in [expression]'),
        (LOG2 + 9, "z", 'write scale = "log2" in [expression]'),
        (Z.mul(20).sub(20 * Z.mean(axis=1), axis=0), "z", "bring the table to one of the known scales"),
    ],
)
def test_another_scale_is_named(table, scale, advice):
    fault = scale_fault(table, scale)
    assert fault.startswith(
        f"expected values from {'0 to 20' if scale == 'log2' else '-10 to 10'}, since the site file"
    )
    assert fault.endswith(f"of cells outside; {advice}")


def test_tpm_of_mostly_silent_genes_are_no_log2():
    silent = pd.DataFrame(np.zeros((100, 2)))
    silent.iloc[0] = 5000.0
    silent.iloc[1] = 31.0
    assert likely_scale(silent) == "tpm"
    assert "with 2% of cells outside" in scale_fault(silent, "log2")


@pytest.mark.parametrize("scale", ["tpm", "counts"])
def test_negative_values_are_no_tpm(scale):
    assert scale_fault(TPM, scale) == ""
    assert f"expression.scale = '{scale}', got -2; write" in scale_fault(pd.DataFrame([[1.0, -2.0]]), scale)


def test_values_are_brought_to_the_log_scale():
    table = pd.DataFrame({"a": [3.0, np.nan], "b": [1.0, 0.0]}, index=["X", "Y"])
    assert on_log_scale(table, np.zeros(2), "z") is table
    np.testing.assert_array_equal(on_log_scale(table, np.zeros(2), "tpm"), [[2, 1], [np.nan, 0]])
    counts = on_log_scale(table, np.array([1e6, 0.0]), "counts")  # b has no reads at all
    np.testing.assert_array_equal(counts, [[2, np.nan], [np.nan, np.nan]])
