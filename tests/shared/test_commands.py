"""How a command ends."""

import pytest
import typer

from shared.commands import run_command
from shared.errors import BadInput, LinkError, StudyError


@pytest.mark.parametrize(("error", "code"), [(BadInput("b"), 2), (StudyError("s"), 2), (LinkError("l"), 1)])
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()

    @app.command()
    def work() -> None:
        raise error

    monkeypatch.setattr("sys.argv", ["work"])
    with pytest.raises(SystemExit) as ended:
        run_command(app)
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def work() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("sys.argv", ["work"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_command(app)
