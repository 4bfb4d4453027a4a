"""`mmfed-client`: the hospital's commands."""

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.data_commands import COMMANDS, EXAMPLES
from client.ledger_commands import LEDGER_EXAMPLE, REPORT_EXAMPLE, ledger, privacy_report
from shared.commands import run_command
from shared.errors import BadInput, Refused, SiteFileError
from shared.site import Site, read_site

if TYPE_CHECKING:
    from shared.privacy.budget import Budget
    from shared.study import Study

__all__ = ["app", "main"]

app = typer.Typer(
    help="Take part in a federation as one hospital: prepare the data, decide about studies, answer the coordinator.",
    epilog="Examples:\n\nmmfed-client --site A # take part, until Ctrl-C\n\nmmfed-client --site A approve study.json",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
StudyFile = Annotated[Path, typer.Argument(help="The study as the coordinator sent it: study.json or study.toml.")]


@dataclass(frozen=True)
class Chosen:
    """The site named on the command line, and its file."""

    site: str
    file: Path

    def read(self) -> Site:
        """The site file; SiteFileError when there is none, or it is another site's."""
        if not self.file.exists():
            raise SiteFileError(
                f"{self.file}: expected the site file of {self.site!r}, got no such file; copy the coordinator's kit "
                f"to {self.file.parent}, correct --site, or name the file with --config"
            )
        read = read_site(self.file)
        if read.id != self.site:
            raise SiteFileError(
                f"{self.file}: site.id: expected {self.site!r} as in --site, got {read.id!r}; correct the wrong one"
            )
        return read


def main() -> None:
    """Entry point of `mmfed-client`."""
    run_command(app)


@app.callback()
def open_site(
    context: typer.Context,
    site: Annotated[str, typer.Option(help="The site's id.")],
    config: Annotated[Path | None, typer.Option(help="The site file; by default sites/<SITE>/site.toml.")] = None,
) -> None:
    """Take part in a federation as one hospital.

    Without a command: connect to the coordinator and answer its messages, until Ctrl-C or SIGTERM.
    """
    context.obj = Chosen(site, config or Path("sites") / site / "site.toml")
    if context.invoked_subcommand is None:
        from client.supernode import take_part

        read = context.obj.read()
        _say_what_is_approved(read)
        take_part(read, context.obj.file)


@app.command(
    epilog="Examples:\n\nmmfed-client --site A approve study.json\n\n"
    "mmfed-client --site A approve study.json --person 'Dr. Ada Example' --yes\n\nmmfed-client --site A approve --list"
)
def approve(
    context: typer.Context,
    study: Annotated[Path | None, typer.Argument(help="The study as the coordinator sent it.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show every decision so far.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    person: Annotated[str, typer.Option(help="Who decides; by default the user of this account.")] = "",
) -> None:
    """Show what a study reads and sends, and allow it."""
    site = context.obj.read()
    if listing:
        _show_approvals(site)
        return
    if study is None:
        raise BadInput("expected a study file or --list, got neither; write `approve study.json`")
    from client.approvals import approve as record
    from client.gate import excesses
    from client.site_ledger import open_budget
    from client.terms import describe
    from shared.study_file import read_resolved

    read, budget = read_resolved(study), open_budget(site)
    typer.echo(describe(read, site, budget))
    faults = [*excesses(read, site), *_check_faults(site, read), *_privacy_faults(budget, read)]
    if faults:
        raise BadInput("; ".join(faults))
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("expected a person to answer, got no terminal; add --yes if the decision is made")
        typer.confirm(f"\nAllow this study at site {site.id}?", abort=True)
    entry = record(site, read, person or getpass.getuser(), budget)
    typer.echo(f"\napproved by {entry.person}, {entry.approved}: {entry.digest}, ledger entry {entry.seq}")


def _privacy_faults(budget: "Budget", study: "Study") -> list[str]:
    """Why a private study would not keep its promise, or could not be finished within the cap."""
    from shared.study_lint import privacy_faults

    terms = study.terms
    if terms is None:
        return []
    faults, after = list(privacy_faults(study)), budget.projected(terms.study)
    if after.epsilon > after.cap:
        faults.append(
            f"expected a study that fits into privacy.epsilon_cap of {after.cap:g}, got one after which "
            f"{after.epsilon:.2f} would be spent ({budget.spent().epsilon:.2f} before it); ask for one that spends less"
        )
    return faults


def _check_faults(site: Site, study: "Study") -> tuple[str, ...]:
    """What `check` finds wrong; nothing while the site's tables are not there yet."""
    from client.prepare.site_check import check as inspect
    from shared.cohort.sheets import find_file

    return inspect(site, study).faults if find_file(site.data, "clinical.tsv") else ()


@app.command(epilog='Example: mmfed-client --site A revoke 3f9a21c0 --reason "ethics approval has ended"')
def revoke(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="The study's digest, or how it begins.")],
    person: Annotated[str, typer.Option(help="Who decides; by default the user of this account.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it stays in this site's ledger.")] = "",
) -> None:
    """Withdraw an approval; from the next message on the study is refused. What it has spent stays spent."""
    from client.approvals import revoke as withdraw

    entry = withdraw(context.obj.read(), digest, person or getpass.getuser(), reason)
    typer.echo(f"revoked {entry.revoked}: {entry.name}, {entry.digest}")


def _say_what_is_approved(site: Site) -> None:
    """Before taking part: the studies that this site answers; of all others every order is refused."""
    from client.approvals import standing_today

    approve = f"`mmfed-client --site {site.id} approve study.json`"
    try:
        found = standing_today(site)
    except Refused as exc:
        typer.echo(f"site {site.id} refuses every order: {exc}")
        return
    for entry, same in found:
        state = f"refused until {approve} is run again: [columns] or [values] have changed"
        typer.echo(f"study {entry.name}, {entry.digest[:12]}: {'approved' if same else state}")
    if not found:
        typer.echo(f"site {site.id} has approved no study and refuses every order; read one: {approve}")


def _show_approvals(site: Site) -> None:
    from client.approvals import list_approvals

    entries = list_approvals(site)
    for entry in entries:
        state = f"revoked {entry.revoked}" if entry.revoked else "stands"
        typer.echo(f"{entry.digest[:12]}  {entry.name}  approved {entry.approved} by {entry.person}  {state}")
    if not entries:
        typer.echo(f"site {site.id} has approved nothing yet")


for name, command in COMMANDS.items():
    app.command(name, epilog=EXAMPLES[name])(command)
app.add_typer(ledger, name="ledger", epilog=LEDGER_EXAMPLE)
app.command("privacy-report", epilog=REPORT_EXAMPLE)(privacy_report)
