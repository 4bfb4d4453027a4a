from collections.abc import Callable
from typing import Any

from simulations.report.subset_tables import subset_name, subset_sites, subset_table

Make = Callable[[str], dict[str, Any]]


def test_a_subset_is_written_in_words() -> None:
    assert subset_name("slides+blood") == "Slides + blood"


def test_every_subset_has_its_patients_and_scores_for_both_groups(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    table = subset_table(metrics)
    assert table.head == ["Patients", "AUC", "Accuracy"] * 2
    assert [name for name, _, _ in table.rows] == ["Slides", "Blood", "Slides + blood"]
    _, _, cells = table.rows[1]
    found = metrics["arms"]["federated"]["subsets"]["blood"]["own"]["auc"]
    assert cells[0].text == "70"
    assert cells[1].text == f"{found['value']:.3f}"
    assert cells[1].spread == f"{found['low']:.3f}–{found['high']:.3f}"
    assert cells[3].text == "35"


def test_at_each_hospital_the_best_cell_is_the_darkest(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    table = subset_sites(metrics)
    cells = {(name, site): cell for name, _, row in table.rows for site, cell in zip(table.head, row, strict=True)}
    shades = {place: cell.shade for place, cell in cells.items() if cell.shade is not None}
    best = max(shades, key=lambda place: shades[place])
    assert shades[best] == 1.0
    assert float(cells[best].text) == max(float(cells[place].text) for place in shades)
    assert min(shades.values()) == 0.0
    assert cells["Blood", "TM"].shade is None
    assert table.notes == [("a", "no patients")]


def test_an_arm_without_subsets_gives_no_rows(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    del metrics["arms"]["federated"]
    assert subset_table(metrics).rows == []
    assert subset_sites(metrics).rows == []
