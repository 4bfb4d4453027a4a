"""How every command of mmfed ends: an error in one sentence on standard error, and its exit code."""

import sys

import typer

from shared.errors import MmfedError
from shared.logs import configure_logs

__all__ = ["run_command"]


def run_command(app: typer.Typer) -> None:
    """Run a command line. Exit codes: 0 done, 1 work failed, 2 bad input, 3 done with inputs left out."""
    configure_logs()
    try:
        app()
    except MmfedError as exc:
        typer.secho(f"error: {exc}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
        sys.exit(exc.exit_code)
