"""Progress where there is no terminal."""

import time
from io import StringIO

import pytest
from rich.console import Console

from simulations.progress import progress_bars


def test_a_line_now_and_then_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.progress.EVERY_S", 0.01)
    out = StringIO()
    with progress_bars(Console(file=out)) as progress:
        progress("training federated", 1, 5)
        until = time.monotonic() + 10
        while "training" not in out.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert "0 s, training federated: 1 of 5 done\n" in out.getvalue()


def test_what_is_over_at_once_says_nothing() -> None:
    out = StringIO()
    with progress_bars(Console(file=out)) as progress:
        progress("training federated", 1, 5)
    assert out.getvalue() == ""


def test_bars_on_a_terminal() -> None:
    out = StringIO()
    with progress_bars(Console(file=out, force_terminal=True)) as progress:
        progress("training federated", 1, 5)
    assert "training federated" in out.getvalue()
