"""`mmfed-server plan-privacy`: what it tells a consortium before it starts."""

import re

import pytest
import typer
from typer.testing import CliRunner

from server.plan import plan_privacy
from shared.errors import BadInput

app = typer.Typer()
app.command()(plan_privacy)


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_small_hospitals_at_a_small_epsilon_are_told_that_they_will_learn_nothing() -> None:
    text = told("--patients", "40", "--sites", "8", "--epsilon", "1")
    assert "Verdict: this will learn nothing." in text
    assert re.search(r"plausible with [\d.]+ times the patients a hospital, or \d+ times the hospitals", text)


def test_a_model_that_is_too_large_is_told_so() -> None:
    text = told("--patients", "200", "--sites", "8", "--epsilon", "1", "--parameters", "1000000")
    assert "Verdict: doubtful" in text
    assert "The model is too large: 1,000,000 parameters are carried away by their noise" in text


def test_large_hospitals_at_a_large_epsilon_are_told_that_they_can_learn() -> None:
    text = told("--patients", "200", "--sites", "8", "--epsilon", "8")
    assert "Verdict: learning is plausible." in text
    assert "can become 99.97 % sure" in text


def test_everything_that_decides_stands_in_the_text() -> None:
    text = told("--patients", "120", "--sites", "8", "--epsilon", "4", "--sample-rate", "0.1", "--parameters", "5000")
    lines = {line.strip().split("  ")[0]: line for line in text.splitlines() if "  " in line.strip()}
    assert "epsilon 4.00" in lines["one study, a patient there or not"]
    for name in (
        "one study, a patient exchanged", "after 2 such studies", "after 3 such studies",
        "a patient of two of the hospitals", "noise multiplier, sigma", "noise per coordinate of the mean",
    ):  # fmt: skip
        assert name in lines
    assert "30 rounds x 10 = 300" in lines["steps"]
    assert text.rstrip().endswith("steps_per_round = 10\nexpected_batch = 8.4")


def test_a_bad_number_is_bad_input() -> None:
    with pytest.raises(BadInput, match="--epsilon: expected a number above 0, got -1; correct it"):
        plan_privacy(patients=10, sites=2, epsilon=-1)
