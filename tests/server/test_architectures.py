"""The table of architectures."""

import pytest
from rich.console import Console

from server.architectures import Architecture, architecture_table, list_architectures, standard_inputs
from shared.models import ARCHITECTURES
from shared.models.about import About


@pytest.mark.slow
def test_every_architecture_is_listed_with_its_size() -> None:
    found = {one.name: one for one in list_architectures()}
    assert list(found) == sorted(ARCHITECTURES)
    assert found["abmil"].parameters == 461_061
    assert found["dp_small"].parameters == found["dp_small"].small == 65_600 + 4193 + 6 * 19 * 64 + 128 + 8256 + 260
    assert all(one.small is None or one.small <= 102_000 for one in found.values())


def test_the_standard_inputs_are_what_the_model_takes() -> None:
    both = standard_inputs(About("", ""))
    assert (both.modalities, both.slides, len(both.groups)) == (("slides", "expression"), 1024, 6)
    assert standard_inputs(About("", "", takes=("expression",))).modalities == ("expression",)
    pictures = standard_inputs(About("", "", takes=("imaging",), needs=("imaging",)))
    assert (pictures.modalities, pictures.imaging) == (("imaging",), 1025)


def test_the_table_says_any_and_shows_what_is_not_known_as_a_dash() -> None:
    rows = [
        Architecture("all", About("takes all", "X 2020"), 1234, None),
        Architecture("one", About("takes one", "Y 2021", ("slides",), ("slides",)), None, 5),
    ]
    console = Console(width=160)
    with console.capture() as capture:
        console.print(architecture_table(rows))
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["all", "any", "-", "1,234", "-", "takes", "all", "X", "2020"] in lines
    assert ["one", "slides", "slides", "-", "5", "takes", "one", "Y", "2021"] in lines
