"""Tiny hospitals with real files and finished stores, and whole runs of the deployment's apps in one process."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from flwr.app import Context, Message, RecordDict
from structlog.testing import capture_logs

import client.app
import server.app
from client.approvals import approve
from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.cohort.genes import groups_digest
from shared.site import Site, read_site
from shared.study import Study, parse_study
from simulations.inline import InlineGrid

GROUPS = {"repair": ["BRCA1", "MSH6", "PALB2"], "signal": ["EGFR", "PALB2", "TP53"]}
RARE = "MSH6"  # measured in RARE_PATIENTS patients of site A only
RARE_PATIENTS = 6
CONTENT: dict[str, Any] = {
    "schema": 1,
    "name": "tiny",
    "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
    "model": {"architecture": "linear"},
    "modalities": {
        "expression": {"genes": "gmt", "groups": GROUPS, "genes_sha256": groups_digest(GROUPS)},
        "clinical": {},
    },
    "training": {"rounds": 4, "batch_size": 8, "learning_rate": 0.05},
    "split": {"test_fraction": 0.5},
}


def tiny_study(**sections: Mapping[str, Any]) -> Study:
    """CONTENT with some keys of some sections replaced."""
    content = {**CONTENT, **{name: {**CONTENT.get(name, {}), **section} for name, section in sections.items()}}
    return parse_study(content)


def write_site(
    folder: Path, classes: tuple[int, int, int], *, expression: bool = True, sections: str = "", seed: int = 0
) -> Path:
    """A hospital with so many patients of each class, its values rising with the class; returns the site file."""
    name, data = folder.name, folder / "data"
    data.mkdir(parents=True)
    rng = np.random.default_rng([seed, ord(name[0])])
    grade = np.repeat([2, 3, 4], classes)
    cases = [f"PATIENT-{name}-{i:03d}" for i in range(len(grade))]
    rows = ["case_id\tage_at_diagnosis\tsex\tgrade"]
    rows += [
        f"{case}\t{rng.integers(30, 80)}\t{rng.choice(['female', 'male'])}\tG{g}"
        for case, g in zip(cases, grade, strict=True)
    ]
    (data / "clinical.tsv").write_text("\n".join(rows) + "\n")
    if expression:
        genes = sorted({gene for group in GROUPS.values() for gene in group})
        table = ["\t".join(["gene_symbol", *cases])]
        for gene in genes:
            values = 5 + 0.7 * grade + rng.normal(size=len(grade))
            cells = [f"{value:.4f}" for value in values]
            if gene == RARE:
                cells = [cell if i % 4 == 0 and name == "A" else "" for i, cell in enumerate(cells)]
            table.append("\t".join([gene, *cells]))
        (data / "expression.tsv").write_text("\n".join(table) + "\n")
    file = folder / "site.toml"
    file.write_text(f'schema = 1\n[site]\nid = "{name}"\n{sections}')
    return file


def prepared_site(file: Path, study: Study) -> Site:
    """The site with a finished store for `study`, which it has approved."""
    site = read_site(file)
    if study.task.kind != "detection":
        prepare(site, PrepareSettings.of(study))
    approve(site, study, person="test")
    return site


Disturb = Callable[[str, Message], Message]
"""(site, its reply) -> what arrives at the coordinator."""


class WatchedGrid(InlineGrid):
    """Keeps what went either way, and lets a test change or stop it."""

    disturb: Disturb | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.names = {node.node_id: node.name for node in self.get_nodes()}
        self.sent: list[tuple[str, str, int]] = []  # site, message type, round
        self.contents: list[bytes] = []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        every = list(messages)
        for message in every:
            meta = message.metadata
            self.sent.append((self.names[meta.dst_node_id], meta.message_type, int(meta.group_id)))
            self.contents.append(wire_bytes(message))
        return super().push_messages(every)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        replies = []
        for reply in super().pull_messages(message_ids):
            self.contents.append(wire_bytes(reply))
            site = self.names[reply.metadata.src_node_id]
            replies.append(type(self).disturb(site, reply) if type(self).disturb else reply)
        return replies


def disturbed(disturb: Disturb) -> type[WatchedGrid]:
    """A Grid whose replies pass through `disturb`."""
    return type("DisturbedGrid", (WatchedGrid,), {"disturb": staticmethod(disturb)})


def wire_bytes(message: Message) -> bytes:
    """The bytes that a message is on the wire."""
    from flwr.common.serde import message_to_proto

    serialised: bytes = message_to_proto(message).SerializeToString()
    return serialised


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, Grid and log records."""

    folder: Path
    grid: InlineGrid
    logs: list[Any]

    @property
    def model(self) -> bytes:
        return (self.folder / "model.safetensors").read_bytes()

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        return found

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]


def run(
    study: Study,
    sites: Mapping[str, Path],
    folder: Path,
    grid_class: type[InlineGrid] = WatchedGrid,
    *,
    named: bool = True,
    run_id: int = 1,
) -> Run:
    """Run `study` with `sites` (id -> site file), registered in that order.

    Run folders are made in `folder`, which the run config names unless `named` is False.
    """
    for file in sites.values():
        prepared_site(file, study)
    run_config = {"study": base64.b64encode(study.canonical().encode()).decode(), "digest": study.digest}
    grid = grid_class(
        client.app.app,
        {name: {"site": name, "site-file": str(file)} for name, file in sites.items()},
        run_config,
        run_id,
    )
    context = Context(
        run_id=run_id,
        node_id=1,
        node_config={},
        state=RecordDict(),
        run_config={**run_config, "runs": str(folder) if named else ""},
        series_id=1,
    )
    configured = structlog.is_configured()
    with capture_logs() as logs:
        try:
            server.app.app(grid=grid, context=context)
        finally:
            if not configured:
                structlog.reset_defaults()
    return Run(folder / f"{study.name}-{run_id}", grid, logs)
