"""The commands of `mmfed-client` that show what a site has spent: ledger verify, show and project; privacy-report."""

from pathlib import Path
from typing import Annotated

import typer

from shared.errors import WorkFailed

__all__ = ["LEDGER_EXAMPLE", "REPORT_EXAMPLE", "ledger", "privacy_report"]

ledger = typer.Typer(
    help="The site's privacy ledger: what was approved, charged, refused and sent.", no_args_is_help=True
)
LEDGER_EXAMPLE = "Examples:\n\nmmfed-client --site A ledger show\n\nmmfed-client --site A ledger verify"
REPORT_EXAMPLE = "Example: mmfed-client --site A privacy-report --out report"


@ledger.command(epilog="Example: mmfed-client --site A ledger verify")
def verify(context: typer.Context) -> None:
    """Check every entry, every link and every signature; exit 1 when one does not hold."""
    from client.site_ledger import open_ledger

    found = open_ledger(context.obj.read()).verify()
    for line in found.lines():
        typer.echo(line)
    if found.faults:
        raise WorkFailed("the ledger does not hold; keep it as it is and ask who had access to the state folder")


@ledger.command(epilog="Example: mmfed-client --site A ledger show --last 20")
def show(
    context: typer.Context,
    last: Annotated[int, typer.Option(help="Show so many entries; 0 = all.", min=0)] = 0,
    kind: Annotated[list[str] | None, typer.Option(help="Only entries of this kind, e.g. charge.")] = None,
) -> None:
    """List the entries, oldest first, and what is spent."""
    from client.ledger_lines import entry_line, spending_lines
    from client.site_ledger import open_budget

    budget = open_budget(context.obj.read())
    entries = budget.ledger.entries(*(kind or ()))
    for entry in entries[-last:]:
        typer.echo(entry_line(entry))
    for line in spending_lines(budget.spent()):
        typer.echo(line)


@ledger.command(epilog="Example: mmfed-client --site A ledger project study.json")
def project(
    context: typer.Context,
    study: Annotated[Path, typer.Argument(help="The study as the coordinator sent it: study.json or study.toml.")],
) -> None:
    """Tell what a study would cost here, before anybody approves it; exit 1 when it does not fit under the cap."""
    from client.ledger_lines import spending_lines
    from client.site_ledger import open_budget
    from shared.study_file import read_resolved

    read, budget = read_resolved(study), open_budget(context.obj.read())
    if read.terms is None:
        typer.echo(f"{read.name}: NOT PRIVATE, nothing would be charged")
        return
    after = budget.projected(read.terms.study)
    left = min(budget.rounds_left(read.terms.round), read.terms.rounds)
    for line in (*spending_lines(budget.spent()), f"with {read.name}:", *spending_lines(after)):
        typer.echo(line)
    typer.echo(f"{left} of its {read.terms.rounds} rounds fit")
    if after.epsilon > after.cap:
        raise WorkFailed(f"expected at most {after.cap:g}, got {after.epsilon:.2f}; ask for a study that spends less")


def privacy_report(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="Folder; default: privacy in the state folder.")] = None,
) -> None:
    """Write the privacy budget report of this site: JSON, signed; HTML and PDF made from it."""
    from client.site_report import write_site_report

    for path in write_site_report(context.obj.read(), out):
        typer.echo(str(path))
