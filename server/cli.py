"""`mmfed-server`: the coordinator's commands."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from server.coordinator import SuperLink, read_coordinator
from server.models import latest_run, list_models, untrained
from server.plan import plan_privacy
from server.registry import site_states
from server.up import running
from shared.commands import run_command
from shared.errors import BadInput, WorkFailed

__all__ = ["app", "main"]

app = typer.Typer(
    help="Coordinate a federation: make its keys, run its SuperLink, train studies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Home = Annotated[Path, typer.Option(help="The coordinator's folder, made by `provision`.")]
RunId = Annotated[int, typer.Argument(help="A run id, as `submit` and `status` print it.")]
HOME = Path("coordinator")
STANDARD_ERROR = 2
WIDE = 180  # columns of a table that goes to a file or a pipe


def main() -> None:
    """Entry point of `mmfed-server`."""
    run_command(app)


@app.command(epilog="Example: mmfed-server provision A B C --address fl.example.org:8443")
def provision(
    sites: Annotated[list[str], typer.Argument(help="Site ids, one a hospital.")],
    address: Annotated[str, typer.Option(help="HOST:PORT at which hospitals reach the SuperLink.")] = "127.0.0.1:8443",
    port: Annotated[int | None, typer.Option(help="Port of this machine, if a proxy listens at the address.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="A further host name or IP of the certificate.")] = None,
    home: Home = HOME,
) -> None:
    """Make the certificate authority, the server's certificate and one kit a site.

    Run it again to add sites; what is there stays.
    """
    from server.provision import provision as make

    for kit in make(home, sites, address, port, name or ()):
        typer.echo(f"{kit}: bring this folder to site {kit.name} by a safe way, then delete {kit / 'site.key'} here")
    typer.echo(f"{home}: ready; start it with `mmfed-server up --home {home}`")


@app.command(epilog="Example: mmfed-server up --home coordinator --runs runs")
def up(
    home: Home = HOME,
    runs: Annotated[Path, typer.Option(help="Where run folders are written.")] = Path("runs"),
) -> None:
    """Run the SuperLink and its SuperExec until Ctrl-C, SIGTERM or `mmfed-server stop`.

    They listen on 127.0.0.1 only; hospitals come in through a proxy that lets /v1/fleet/ pass (deploy/superlink).
    Their own output is in the folder's logs/.
    """
    from server.up import up as run

    run(home, runs)


@app.command(
    epilog="Examples:\n\nmmfed-server submit study.toml --check # then send study.json to the hospitals\n\n"
    "mmfed-server submit study.toml --wait"
)
def submit(
    study: Annotated[Path, typer.Argument(help="The study: TOML, or the resolved JSON.")],
    home: Home = HOME,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run until it has ended.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check and resolve the study, start nothing.")] = False,
) -> None:
    """Train a study with the hospitals that have approved it.

    Writes the resolved study beside it as .json: the file to send to the hospitals, who approve it first.
    """
    from server.submission import gene_line, read_submittable, write_resolved
    from server.submission import submit as start

    ready = read_submittable(study)
    typer.echo(f"study {ready.name}, digest {ready.digest}, for the hospitals: {write_resolved(ready, study)}")
    genes = gene_line(ready)
    if genes:
        typer.echo(genes)
    if check:
        return
    link = SuperLink(home)
    run_id = start(link, ready)
    typer.echo(f"run {run_id} started")
    if wait:
        _follow(link, run_id)
        folder = latest_run(_runs_folder(home), ready)
        for modality in untrained(folder):
            typer.echo(f"warning: {modality} was never trained, since too few hospitals hold it; see {folder}")
        typer.echo(f"run {run_id} completed: {folder}")


@app.command(epilog="Example: mmfed-server status")
def status(
    run: Annotated[int | None, typer.Argument(help="A run id; without it, every run.")] = None, home: Home = HOME
) -> None:
    """Show whether the coordinator runs, and how its runs stand."""
    up_now = running(home)
    coordinator = read_coordinator(home)
    typer.echo(f"coordinator {coordinator.address}: {'up, pid ' + up_now['pid'] if up_now else 'not running'}")
    if up_now is None:
        return
    link = SuperLink(home)
    for site, state in site_states(link).items():
        typer.echo(f"site {site}: {state}")
    for one in link.runs() if run is None else [link.run(run)]:
        typer.echo(f"run {one['run-id']}: {one['status']}, {one['elapsed']:.0f} s{_details(one)}")


@app.command(epilog="Example: mmfed-server logs 4711 --follow")
def logs(
    run: RunId,
    home: Home = HOME,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run has ended.")] = False,
) -> None:
    """Print what the ServerApp of a run has logged."""
    link = SuperLink(home)
    link.run(run)
    command, env = link.log_command(run, follow)
    if subprocess.run(command, env=env).returncode:
        raise WorkFailed(f"expected the log of run {run}, got none; see the folder {link.folder / 'logs'}")


@app.command(epilog="Examples:\n\nmmfed-server stop 4711\n\nmmfed-server stop")
def stop(
    run: Annotated[int | None, typer.Argument(help="A run id; without it, the coordinator itself.")] = None,
    home: Home = HOME,
) -> None:
    """Stop one run, or the coordinator. Checkpoints stay: submit the study again to go on."""
    if run is not None:
        SuperLink(home).stop(run)
        typer.echo(f"run {run} stopped")
        return
    up_now = running(home)
    if up_now is None:
        typer.echo("coordinator not running")
        return
    os.kill(int(up_now["pid"]), signal.SIGTERM)
    for _ in range(400):
        if running(home) is None:
            typer.echo("coordinator stopped")
            return
        time.sleep(0.1)
    raise WorkFailed(
        f"expected the coordinator, pid {up_now['pid']}, to end within 40 s, got none; look into its logs/"
    )


@app.command(epilog="Example: mmfed-server models --runs runs")
def models(runs: Annotated[Path, typer.Option(help="Where run folders are written.")] = Path("runs")) -> None:
    """List the architectures that a study can name, then the trained models, oldest first."""
    from rich.console import Console

    from server.architectures import architecture_table, list_architectures

    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(architecture_table(list_architectures()))
    trained = list_models(runs)
    typer.echo(f"\nTrained models under {runs}" if trained else f"\nNo trained model under {runs}")
    for model in trained:
        typer.echo(
            f"{model.finished:%Y-%m-%d %H:%M} UTC  {model.sha256[:12]}  {model.bytes / 1e6:.1f} MB  {model.path}"
        )


@app.command(epilog="Example: mmfed-server report --privacy runs/s3-glioma-grade-4711")
def report(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    privacy: Annotated[bool, typer.Option("--privacy", help="The privacy budget report of the consortium.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to write into; default: the run's.")] = None,
) -> None:
    """Write a report of a run: with --privacy what it cost each hospital, as signed JSON, HTML and PDF.

    What a hospital has spent elsewhere stands in its own report only.
    """
    if not privacy:
        raise BadInput("expected --privacy, the one report that this command writes, got nothing; add it")
    from server.privacy_report import write_run_report

    for path in write_run_report(run, out):
        typer.echo(str(path))


app.command("plan-privacy", epilog="Example: mmfed-server plan-privacy --patients 120 --sites 8 --epsilon 4")(
    plan_privacy
)


def _follow(link: SuperLink, run_id: int) -> None:
    """Show the run's log until it has ended; WorkFailed when it did not complete."""
    command, env = link.log_command(run_id, follow=True)
    try:
        subprocess.run(command, env=env, stdout=STANDARD_ERROR)
        while not (state := link.run(run_id))["status"].startswith("finished"):
            time.sleep(3)
    except KeyboardInterrupt as exc:
        raise WorkFailed(f"stopped waiting; run {run_id} goes on, `mmfed-server stop {run_id}` ends it") from exc
    if state["status"] != "finished:completed":
        raise WorkFailed(
            f"expected run {run_id} to complete, got {state['status']}{_details(state)}; "
            f"see `mmfed-server logs {run_id}`, mend the cause and submit again: it goes on from its last round"
        )


def _details(run: dict[str, Any]) -> str:
    details = str(run["status-details"])
    return "" if details in ("", "N/A") else f" ({details})"


def _runs_folder(home: Path) -> Path:
    up_now = running(home)
    return Path(up_now["runs"]) if up_now else Path("runs")
