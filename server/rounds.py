"""The round loop: wait, greet, train R times, evaluate once. R + 2 message waves, a checkpoint after each round."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from flwr.app import MessageType
from flwr.serverapp import Grid
from numpy.typing import NDArray

from server.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from server.exchange import NOT_SENT, Wave, exchange, online_sites
from server.handshake import Members, parse_greeting
from server.heads import Heads
from server.strategies.per_branch import PerBranch, branch_weights
from server.strategies.scaffold import ControlVariate
from server.updates import Updates, check_control, check_evaluation, check_update, parse_evaluation
from shared.digests import sha256_bytes
from shared.errors import QuorumError
from shared.messages import CODES, EvaluateReply, HandshakeReply, Order, TrainReply, branch_of
from shared.metrics import Statistics
from shared.study import Study
from shared.weights import Arrays, new_model, take_arrays

__all__ = ["Finished", "learning_rate", "run_rounds"]

log = structlog.get_logger()
ATTEMPTS = 3  # a round without a quorum is tried again, then the run stops
GATHERING_S = 120.0  # how long a quorum waits for the other registered sites


@dataclass(frozen=True)
class Finished:
    """What a run leaves behind."""

    arrays: Arrays
    gene_statistics: NDArray[np.float64] | None
    rounds: list[dict[str, Any]]
    evaluation: Mapping[str, EvaluateReply]  # site -> mergeable statistics of the final model
    refused: Mapping[str, str]
    greetings: Mapping[str, HandshakeReply]


def learning_rate(study: Study, round_: int) -> float:
    """The rate of round 1..R, constant within it; `cosine` falls from the study's rate towards 0."""
    settings = study.training
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (round_ - 1) / settings.rounds))


def run_rounds(
    grid: Grid,
    study: Study,
    folder: Path,
    *,
    expected: Collection[str] = (),
    heads: Heads | None = None,
    poll_s: float = 0.5,
    on_round: Callable[[dict[str, Any]], None] | None = None,
) -> Finished:
    """Train `study` with the sites behind `grid`; goes on from the checkpoint in `folder` if there is one.

    Parameters
    ----------
    expected
        Sites to wait for before the run starts: the coordinator's registry, since a Grid lists online nodes only.
    heads
        What the sites have shown of their ledgers in earlier runs; new ones are added. Private studies only.

    Raises
    ------
    QuorumError
        Too few sites took part, or too few usable replies came in ATTEMPTS attempts at a round.
    """
    loop = _Loop(grid, study, folder, frozenset(expected), poll_s, heads or Heads())
    loop.gather()
    for round_ in range(loop.state.round + 1, study.training.rounds + 1):
        record = loop.train(round_)
        if on_round is not None:
            on_round(record)
    return loop.finish()


@dataclass
class _Loop:
    """One run. `state` is always what the last checkpoint holds."""

    grid: Grid
    study: Study
    folder: Path
    expected: frozenset[str]
    poll_s: float
    heads: Heads
    silent: dict[str, str] = field(init=False, default_factory=dict)  # sites that did not answer the last handshake
    state: Checkpoint = field(init=False)
    members: Members = field(init=False)
    strategy: PerBranch = field(init=False)

    def __post_init__(self) -> None:
        self.members, self.strategy = Members(self.study), PerBranch(self.study)
        found = read_checkpoint(self.folder, self.study.digest)
        if found is None:
            self.state = Checkpoint(self.study.digest, 0, take_arrays(new_model(self.study)), None)
            return
        self.state = found
        self.strategy.restore(found.strategy)
        self.members.greetings = {site: _known(site, facts) for site, facts in found.greetings.items()}
        log.info("resuming", round=found.round)

    def gather(self) -> None:
        """Wait for the expected sites, greet those that are new, and settle the gene statistics."""
        quorum = self.study.federation.quorum
        online = self._wait_for(self.expected | self.members.greetings.keys())
        self._greet(online)
        if self.state.round == 0:  # later members join with the statistics of the first handshake
            self.state = replace(self.state, gene_statistics=self.members.gene_statistics())
        self.members.forget_sums()
        if len(self.members.greetings) < quorum:
            reasons = "; ".join(f"{site}: {why}" for site, why in sorted((self.silent | self.members.refused).items()))
            raise QuorumError(
                f"expected {quorum} sites to take part, got {len(self.members.greetings)} ({reasons}); mend those sites"
            )
        for modality, holders in self.members.lacking().items():
            log.warning(
                f"{holders or 'no'} hospital{'s' * (holders > 1)} with {modality}: the branch will not be trained",
                branch_quorum=self.study.federation.branch_quorum,
                advice="each hospital's prepare-report.html says why; stop the run and mend them, or go on without it",
            )

    def train(self, round_: int) -> dict[str, Any]:
        """One round; returns its record."""
        started, quorum = time.monotonic(), self.study.federation.quorum
        for attempt in range(ATTEMPTS):
            # a member that fell out of the last round is welcome back, but not waited for again
            last = self._last_record()
            online = self._wait_for(self.members.greetings.keys() & (last["sites"].keys() if last else self.expected))
            self._greet(online)
            nodes = {site: node for site, node in online.items() if site in self.members.greetings}
            with self.strategy.collect(self.state.arrays, nodes, last) as updates:
                wave = self._train_wave(round_, attempt, nodes, updates)
                wave.missing |= dict.fromkeys(self.members.greetings.keys() - nodes.keys(), NOT_SENT[1])
                if len(updates) >= quorum:
                    arrays, kept = self.strategy.aggregate(round_, self.state.arrays, updates)
                    return self._finish_round(round_, arrays, kept, updates, wave, time.monotonic() - started)
            log.warning("round without a quorum", round=round_, attempt=attempt + 1, replies=len(wave.accepted))
        reasons = "; ".join(f"{site}: {why}" for site, why in sorted(wave.missing.items()))
        raise QuorumError(
            f"round {round_}: expected {quorum} usable replies, got {len(wave.accepted)} in {ATTEMPTS} attempts "
            f"({reasons}); mend those sites and submit again: the run goes on from its last finished round"
        )

    def _wait_for(self, sites: Collection[str]) -> dict[str, int]:
        """Wait until all `sites` are online; a quorum waits GATHERING_S for the others, fewer until the deadline."""
        federation, started = self.study.federation, time.monotonic()
        while True:
            online = online_sites(self.grid)
            waited, enough = time.monotonic() - started, len(online) >= federation.quorum
            if enough and (online.keys() >= set(sites) or waited >= min(GATHERING_S, federation.deadline_s)):
                return online
            if waited >= federation.deadline_s:
                raise QuorumError(
                    f"expected {federation.quorum} sites online within {federation.deadline_s:g} s, got {len(online)} "
                    f"({', '.join(online) or 'none'}); start `mmfed-client` at the others"
                )
            time.sleep(self.poll_s)

    def _last_record(self) -> dict[str, Any] | None:
        return self.state.rounds[-1] if self.state.rounds else None

    def finish(self) -> Finished:
        """The closing wave: every member scores the final model."""
        online = online_sites(self.grid)
        nodes = {site: node for site, node in online.items() if site in self.members.greetings}

        def accept(site: str, message: Any) -> EvaluateReply:
            reply = parse_evaluation(site, message, self.study.task)
            self._take_head(site, reply.head)
            return reply

        wave = exchange(
            self.grid,
            nodes,
            self._orders(nodes),
            MessageType.EVALUATE,
            accept,
            deadline_s=self.study.federation.deadline_s,
            poll_s=self.poll_s,
        )
        state = self.state
        return Finished(
            state.arrays,
            state.gene_statistics,
            state.rounds,
            wave.accepted,
            self.members.refused,
            self.members.greetings,
        )

    def _greet(self, online: Mapping[str, int]) -> None:
        """Handshake with the sites not yet known."""
        new = {s: n for s, n in online.items() if s not in self.members.greetings and s not in self.members.refused}
        if not new:
            return

        def accept(site: str, message: Any) -> HandshakeReply:
            greeting = parse_greeting(site, message, self.study)
            self._take_head(site, greeting.head)
            return greeting

        orders = self._with_heads(dict.fromkeys(new, Order(self.state.digest)))
        wave = exchange(
            self.grid,
            new,
            orders,
            f"{MessageType.QUERY}.handshake",
            accept,
            deadline_s=self.study.federation.deadline_s,
            poll_s=self.poll_s,
        )
        self.members.admit(wave.accepted)
        # an answer, once given, stands until the run is submitted again; a broken link is asked again next round
        self.members.refused |= {site: why for site, why in wave.missing.items() if why in CODES}
        self.silent = {site: why for site, why in wave.missing.items() if why not in CODES}

    def _orders(
        self, nodes: Mapping[str, int], control: ControlVariate | None = None, **fields: Any
    ) -> dict[str, Order]:
        """One order a site: the arrays of the branches it holds. Sites that hold the same share one order."""
        statistics = self.state.gene_statistics
        sha = "" if statistics is None else sha256_bytes(np.ascontiguousarray(statistics).tobytes())
        made: dict[tuple[frozenset[str], int], Order] = {}
        chosen: dict[str, Order] = {}
        for site in nodes:
            held, taken = self.members.held(site), control.taken.get(site, 0) if control else 0
            if (held, taken) not in made:
                arrays = {n: a for n, a in self.state.arrays.items() if branch_of(n) in held | {"fusion"}}
                made[held, taken] = Order(
                    self.state.digest,
                    arrays,
                    gene_statistics=statistics,
                    gene_stats_sha256=sha,
                    control=control.of(self.state.arrays, held) if control else {},
                    control_round=taken,
                    **fields,
                )
            chosen[site] = made[held, taken]
        return self._with_heads(chosen)

    def _with_heads(self, orders: dict[str, Order]) -> dict[str, Order]:
        """With privacy on, every site is sent back its own ledger head and told of the others'."""
        if not self.study.privacy.on:
            return orders
        return {
            site: replace(order, echo_head=self.heads.echo(site), heads=self.heads.told_to(site))
            for site, order in orders.items()
        }

    def _take_head(self, site: str, head: str) -> None:
        if self.study.privacy.on:
            self.heads.take(site, head)

    def _train_wave(self, round_: int, attempt: int, nodes: Mapping[str, int], updates: Updates) -> Wave[TrainReply]:
        def accept(site: str, message: Any) -> TrainReply:
            private, held = self.study.privacy.on, self.members.held(site)
            reply = check_update(TrainReply.read(message), site, round_, held, self.state.arrays, private=private)
            self._take_head(site, reply.head)
            check_control(reply, orders[site].control)
            check_evaluation(reply.evaluation, self.study.task)
            updates.add(reply)
            return replace(reply, arrays={}, control={})

        if self.study.privacy.on:
            attempt = 0  # a site that has answered answers with the same bytes, which costs it nothing
        rate = learning_rate(self.study, round_)
        orders = self._orders(nodes, self.strategy.control, round=round_, attempt=attempt, learning_rate=rate)
        return exchange(
            self.grid,
            nodes,
            orders,
            MessageType.TRAIN,
            accept,
            deadline_s=self.study.federation.deadline_s,
            poll_s=self.poll_s,
        )

    def _finish_round(
        self, round_: int, arrays: Arrays, kept: list[str], updates: Updates, wave: Wave[TrainReply], seconds: float
    ) -> dict[str, Any]:
        """Write the round record and the checkpoint."""
        record = _record(self.study, round_, kept, updates.replies, wave.missing, seconds)
        self.state = replace(
            self.state,
            round=round_,
            arrays=arrays,
            strategy=self.strategy.state(),
            greetings={site: _facts(greeting) for site, greeting in sorted(self.members.greetings.items())},
            rounds=[*self.state.rounds, record],
        )
        write_checkpoint(self.folder, self.state)
        log.info("round", round=round_, loss=record["loss"], sites=len(record["sites"]), branches_not_trained=kept)
        return record


def _record(
    study: Study, round_: int, kept: list[str], replies: list[TrainReply], missing: Mapping[str, str], seconds: float
) -> dict[str, Any]:
    """What is known of a round: losses are means over patients and local epochs."""
    if study.privacy.on:  # no loss and no count of patients has come
        told: dict[str, Any] = {"loss": None, "sites": {r.site: {"charges": r.charges} for r in replies}}
    else:
        told = _losses(replies, study.training.local_epochs)
    statistics = [Statistics.from_record(r.evaluation) for r in replies if r.evaluation]
    return {
        "round": round_,
        **told,
        "patients": {branch: sum(weights) for branch, weights in branch_weights(replies).items()},
        "kept": kept,
        "missing": dict(missing),
        "received_model": reduce(Statistics.merge, statistics).result() if statistics else {},
        "seconds": round(seconds, 3),
    }


def _losses(replies: list[TrainReply], epochs: int) -> dict[str, Any]:
    """Mean losses over patients and local epochs, of each site and of all."""
    patients = sum(r.patients["fusion"] for r in replies)
    sums = {r.site: r.loss_sum or 0.0 for r in replies}
    sites = {
        r.site: {"loss": sums[r.site] / (r.patients["fusion"] * epochs), "patients": r.patients["fusion"]}
        for r in replies
    }
    return {"loss": sum(sums.values()) / (patients * epochs), "sites": sites}


def _facts(greeting: HandshakeReply) -> dict[str, Any]:
    """What a checkpoint keeps of a greeting; the sums are already in the gene statistics."""
    return {
        "version": greeting.version,
        "encoders": dict(greeting.encoders),
        "stain": greeting.stain,
        "buckets": dict(greeting.buckets),
        "per_site_results": greeting.per_site_results,
    }


def _known(site: str, facts: Mapping[str, Any]) -> HandshakeReply:
    """A greeting from a checkpoint."""
    return HandshakeReply(site, genes_sha256="", gene_sums=np.zeros((3, 0)), **facts)
