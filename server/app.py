"""The ServerApp: study in, round loop, run folder out. Wiring only."""

import base64
import json
import os
from pathlib import Path

import structlog
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server.heads import FILE as HEADS
from server.heads import Heads
from server.offer import offer_model
from server.results import end_run, open_run, write_results
from server.rounds import run_rounds
from shared.errors import MmfedError, StudyError
from shared.logs import configure_logs
from shared.study import Study, parse_study

__all__ = ["app", "read_run_study"]

app = ServerApp()
log = structlog.get_logger()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the study of the run config.

    The folder of runs is `$MMFED_RUNS`, `runs` by default; a simulation names it in the run config, which the
    deployed bundle cannot. At the end of a deployed run the model is offered to the sites.
    """
    if not structlog.is_configured():
        configure_logs()
    study = read_run_study(str(context.run_config.get("study", "")), str(context.run_config.get("digest", "")))
    simulated = str(context.run_config.get("runs", ""))
    runs = Path(simulated or os.environ.get("MMFED_RUNS", "runs"))
    folder = open_run(runs, study, str(context.run_id))
    log.info("run starts", study=study.name, digest=study.digest, folder=folder.name)
    try:
        heads = Heads(runs / HEADS) if study.privacy.on else None
        finished = run_rounds(
            grid,
            study,
            folder / "checkpoints",
            expected=_expected(grid),
            heads=heads,
            on_round=None if simulated else lambda _: _report(folder),
        )
    except MmfedError as exc:
        log.error("run stopped", reason=str(exc))
        raise
    write_results(folder, study, finished)
    if not simulated:
        _report(folder)
        try:
            offer_model(grid, study, folder, finished)
        except Exception:  # the boundary: a run that has its model did not fail
            log.exception("model not offered")
    end_run(folder)  # last, so that a coordinator that stops before offers when it goes on
    log.info("run finished", folder=folder.name, rounds=len(finished.rounds))


def _report(folder: Path) -> None:
    """Keep the privacy report of a deployed run current; a run whose report cannot be written goes on."""
    from server.privacy_report import write_run_report  # imports the accountant

    try:
        write_run_report(folder)
    except Exception:  # the boundary: the round itself is done
        log.exception("privacy report not written")


def _expected(grid: Grid) -> list[str]:
    """The sites to wait for: those of the coordinator's registry (`$MMFED_SITES`), else the nodes that are there."""
    named = os.environ.get("MMFED_SITES", "")
    return named.split(",") if named else sorted(node.name for node in grid.get_nodes())


def read_run_study(text: str, digest: str) -> Study:
    """The study that came with the run: canonical JSON in base64, held against its digest."""
    try:
        study = parse_study(json.loads(base64.b64decode(text, validate=True)), source="the run's study")
    except ValueError as exc:
        raise StudyError("expected a study in the run config, got none; start runs with `mmfed-server submit`") from exc
    if study.digest != digest:
        raise StudyError(f"expected digest {study.digest}, got {digest!r}; submit the study again")
    return study
