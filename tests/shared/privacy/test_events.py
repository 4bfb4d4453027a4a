"""Events are plain facts about what was released; equal ones are one."""

import pytest

from shared.privacy.events import Event, merged


def test_steps_of_equal_releases_add_up_and_the_order_does_not_matter() -> None:
    events = [Event(0.1, 2.0, 5), Event(0.05, 1.0, 7), Event(0.1, 2.0, 10), Event(0.1, 3.0, 1)]
    expected = (Event(0.05, 1.0, 7), Event(0.1, 2.0, 15), Event(0.1, 3.0, 1))
    assert merged(events) == merged(reversed(events)) == expected
    assert merged([]) == ()


@pytest.mark.parametrize(
    ("sample_rate", "sigma", "steps"),
    [(0, 1, 1), (-0.1, 1, 1), (1.01, 1, 1), (0.1, 0, 1), (0.1, -1, 1), (0.1, float("inf"), 1), (0.1, 1, 0),
     (float("nan"), 1, 1), (0.1, float("nan"), 1)],
)  # fmt: skip
def test_what_is_no_release_is_refused(sample_rate: float, sigma: float, steps: int) -> None:
    with pytest.raises(ValueError, match="expected 0 < sample_rate <= 1, a finite sigma > 0 and steps >= 1, got "):
        Event(sample_rate, sigma, steps)
