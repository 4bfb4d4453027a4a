"""What crosses between coordinator and site, parsed once on arrival (CONTRACT.md section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from shared.arrays import decode, from_record, to_record

__all__ = [
    "CODES",
    "SCHEMA",
    "EvaluateReply",
    "HandshakeReply",
    "Malformed",
    "OfferReply",
    "Order",
    "OtherSchema",
    "TrainReply",
    "branch_of",
    "bucket",
]

SCHEMA = 1
Statistic = list[int] | list[float]

CODES: dict[str, str] = {
    "NOT_APPROVED": "this site has not approved the study with that digest",
    "DIGEST_MISMATCH": "the study does not have the digest that came with it",
    "STUDY_INVALID": "the study cannot be read by this version",
    "TERMS_EXCEED_SITE": "the study asks for more than the site file allows",
    "VERSION_MISMATCH": "another major.minor version or schema",
    "MESSAGE_INVALID": "a message without the fields it must have",
    "SITE_MISMATCH": "the site's own name is not the one the coordinator registered",
    "ENCODER_MISMATCH": "features were made by another encoder, or of other stains, than the study names",
    "GENES_MISMATCH": "another gene list than the study names",
    "STATISTICS_MISMATCH": "gene statistics are not those this round was announced with",
    "NOT_PREPARED": "no finished feature store for this study's settings",
    "NO_PATIENTS": "no patient of this site can be used for the task",
    "TOO_FEW_PATIENTS": "fewer patients than the site's min_patients",
    "MODEL_INVALID": "the model that was offered is damaged, too large, or not that of the study",
    "PRIVACY_REFUSED": "the study's training would not keep the privacy it promises",
    "BUDGET_EXCEEDED": "the round would spend more privacy than this site has left",
    "ROUND_INVALID": "a round that the approved study does not have",
    "LEDGER_BROKEN": "the site's privacy ledger was changed, cut or damaged",
    "LEDGER_FAILED": "the site's privacy ledger could not be written",
    "LEDGER_ROLLED_BACK": "the site's privacy ledger is older than one it has shown before",
    "HEAD_INVALID": "a ledger head that this site never signed",
    "BUNDLE_REFUSED": "a bundle that is not the one mmfed ships",
    "CLIENT_FAILED": "the site failed; the reason stands in its own log",
}
"""Code -> what it means. Nothing else about an error leaves a site."""

BUCKETS = (10, 20, 50, 100, 200, 500, 1000, 5000)


class Malformed(ValueError):
    """A message without the fields it must have; the text names the field, never a value."""


class OtherSchema(Malformed):
    """A message of another version of this schema."""


def branch_of(name: str) -> str:
    """The branch of a parameter, from its state_dict name: `branches.<branch>.*`, else `fusion`."""
    return name.split(".")[1] if name.startswith("branches.") else "fusion"


def bucket(count: int) -> str:
    """The size bucket in which a patient count may leave a site: "<10", "10-19", ... "5000+"."""
    if count < BUCKETS[0]:
        return f"<{BUCKETS[0]}"
    for low, high in pairwise(BUCKETS):
        if count < high:
            return f"{low}-{high - 1}"
    return f"{BUCKETS[-1]}+"


@dataclass(frozen=True)
class Order:
    """What the coordinator sends: a handshake (no arrays), a round of training, the closing evaluation, an offer."""

    digest: str
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    gene_statistics: NDArray[np.float64] | None = None  # (2, U): mean, standard deviation
    gene_stats_sha256: str = ""
    round: int = 0
    attempt: int = 0
    learning_rate: float = 0.0
    echo_head: str = ""  # the last ledger head that this site has sent, back to it
    heads: str = ""  # of the other sites, by the fingerprint of their keys: JSON {fingerprint: [seq, hash]}
    control: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)  # SCAFFOLD's c
    control_round: int = 0  # the round of this site whose change of c_i is part of c; 0 = none
    files: Mapping[str, bytes] = field(default_factory=dict)  # a finished run that is offered: name -> content

    def content(self) -> RecordDict:
        """As a Flower record."""
        config = {
            "schema": SCHEMA,
            "digest": self.digest,
            "round": self.round,
            "attempt": self.attempt,
            "learning_rate": self.learning_rate,
            "gene_stats_sha256": self.gene_stats_sha256,
            "echo_head": self.echo_head,
            "heads": self.heads,
        }
        content = RecordDict({"config": ConfigRecord(config)})  # type: ignore[arg-type]
        if self.arrays:
            content["arrays"] = to_record(self.arrays)
        if self.control:
            content["control"] = to_record(self.control)
            content.config_records["config"]["control_round"] = self.control_round
        if self.files:
            content["files"] = to_record({name: np.frombuffer(file, np.uint8) for name, file in self.files.items()})
        if self.gene_statistics is not None:
            content["gene_statistics"] = to_record({"gene_statistics": self.gene_statistics})
        return content

    @classmethod
    def read(cls, message: Message) -> "Order":
        """Parse an order at a site; Malformed when a field is missing or of another kind."""
        config = _config(message)
        if "digest" not in config:
            raise Malformed("no digest")
        statistics = message.content.array_records.get("gene_statistics")
        files = _decoded(message.content.array_records.get("files", ArrayRecord()))
        return cls(
            digest=str(config["digest"]),
            arrays=_decoded(message.content.array_records.get("arrays", ArrayRecord())),
            gene_statistics=None if statistics is None else _floats(statistics, "gene_statistics"),
            gene_stats_sha256=str(config.get("gene_stats_sha256", "")),
            round=int(_number(config, "round")),
            attempt=int(_number(config, "attempt")),
            learning_rate=_number(config, "learning_rate"),
            echo_head=str(config.get("echo_head", "")),
            heads=str(config.get("heads", "")),
            control=_decoded(message.content.array_records.get("control", ArrayRecord())),
            control_round=int(_number(config, "control_round")) if "control_round" in config else 0,
            files={name: file.tobytes() for name, file in files.items()},
        )


@dataclass(frozen=True)
class HandshakeReply:
    """What a site says of itself before round 1."""

    site: str
    version: str
    encoders: Mapping[str, str]  # encoded modality -> SHA-256 of the encoder's weights, "" without that modality
    genes_sha256: str
    buckets: Mapping[str, str]  # held branch -> bucket of its training patients
    gene_sums: NDArray[np.float64]  # (3, U), zeros where withheld
    per_site_results: bool = True  # may others see this site's row
    stain: str = ""  # stain normalisation behind the slide features, "" without slides
    head: str = ""

    def content(self) -> RecordDict:
        """As a Flower record."""
        config = {"schema": SCHEMA, "site": self.site, "version": self.version, "head": self.head}
        config |= {"genes_sha256": self.genes_sha256, "per_site_results": self.per_site_results, "stain": self.stain}
        config |= {f"encoder.{name}": sha for name, sha in self.encoders.items()}
        config |= {f"bucket.{name}": size for name, size in self.buckets.items()}
        content = RecordDict({"config": ConfigRecord(config)})  # type: ignore[arg-type]
        content["gene_sums"] = to_record({"gene_sums": self.gene_sums})
        return content

    @classmethod
    def read(cls, message: Message) -> "HandshakeReply":
        """Parse a handshake reply at the coordinator; Malformed when a field is missing."""
        config = _config(message)
        sums = message.content.array_records.get("gene_sums")
        if sums is None:
            raise Malformed("no gene_sums")
        return cls(
            site=str(config.get("site", "")),
            version=str(config.get("version", "")),
            encoders={k.removeprefix("encoder."): str(v) for k, v in config.items() if k.startswith("encoder.")},
            genes_sha256=str(config.get("genes_sha256", "")),
            buckets={k.removeprefix("bucket."): str(v) for k, v in config.items() if k.startswith("bucket.")},
            gene_sums=_floats(sums, "gene_sums"),
            per_site_results=bool(config.get("per_site_results", False)),
            stain=str(config.get("stain", "")),
            head=str(config.get("head", "")),
        )


@dataclass(frozen=True)
class TrainReply:
    """One site's update of one round.

    With privacy on it holds no count and no loss of patients: `patients` is empty, `loss_sum` None, `evaluation` empty.
    """

    site: str
    round: int
    arrays: Mapping[str, NDArray[np.generic]]
    patients: Mapping[str, int]  # branch -> training patients: the branch's weight
    steps: int
    loss_sum: float | None
    evaluation: Mapping[str, Statistic]  # mergeable statistics of the model received; empty when withheld
    seconds: float = 0.0
    head: str = ""
    control: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)  # the change of SCAFFOLD's c_i
    charges: int = 0  # with privacy on: how often this run has been charged at the site so far

    def content(self) -> RecordDict:
        """As a Flower record."""
        metrics: dict[str, int | float | Statistic] = {f"patients.{name}": n for name, n in self.patients.items()}
        metrics |= {"steps": self.steps} | ({} if self.loss_sum is None else {"loss_sum": self.loss_sum})
        metrics |= {f"eval.{name}": value for name, value in self.evaluation.items()}
        config = {"schema": SCHEMA, "site": self.site, "round": self.round, "seconds": self.seconds, "head": self.head}
        config["charges"] = self.charges
        content = RecordDict(
            {
                "arrays": to_record(self.arrays),
                "metrics": MetricRecord(metrics),
                "config": ConfigRecord(config),  # type: ignore[arg-type]
            }
        )
        if self.control:
            content["control"] = to_record(self.control)
        return content

    @classmethod
    def read(cls, message: Message) -> "TrainReply":
        """Parse a train reply at the coordinator; Malformed when a field is missing or of another kind."""
        config, metrics = _config(message), message.content.metric_records.get("metrics")
        arrays = message.content.array_records.get("arrays")
        if metrics is None or arrays is None:
            raise Malformed("no metrics" if metrics is None else "no arrays")
        patients = {k.removeprefix("patients."): int(_number(metrics, k)) for k in metrics if k.startswith("patients.")}
        return cls(
            site=str(config.get("site", "")),
            round=int(_number(config, "round")),
            arrays=_decoded(arrays),
            patients=patients,
            steps=int(_number(metrics, "steps")),
            loss_sum=_number(metrics, "loss_sum") if "loss_sum" in metrics else None,
            evaluation=_evaluation(metrics),
            seconds=_number(config, "seconds"),
            head=str(config.get("head", "")),
            control=_decoded(message.content.array_records.get("control", ArrayRecord())),
            charges=int(_number(config, "charges")) if "charges" in config else 0,
        )


@dataclass(frozen=True)
class EvaluateReply:
    """One site's mergeable statistics of the final model; empty when the site withholds them."""

    site: str
    evaluation: Mapping[str, Statistic]
    head: str = ""
    charges: int = 0  # with privacy on: how often this run has been charged at the site

    def content(self) -> RecordDict:
        """As a Flower record."""
        config = {"schema": SCHEMA, "site": self.site, "head": self.head, "charges": self.charges}
        metrics = {f"eval.{name}": value for name, value in self.evaluation.items()}
        return RecordDict({"config": ConfigRecord(config), "metrics": MetricRecord(metrics)})  # type: ignore[arg-type]

    @classmethod
    def read(cls, message: Message) -> "EvaluateReply":
        """Parse an evaluation at the coordinator."""
        config = _config(message)
        metrics = message.content.metric_records.get("metrics", MetricRecord())
        charges = int(_number(config, "charges")) if "charges" in config else 0
        return cls(str(config.get("site", "")), _evaluation(metrics), str(config.get("head", "")), charges)


@dataclass(frozen=True)
class OfferReply:
    """One site has taken the finished model."""

    site: str

    def content(self) -> RecordDict:
        """As a Flower record."""
        return RecordDict({"config": ConfigRecord({"schema": SCHEMA, "site": self.site})})

    @classmethod
    def read(cls, message: Message) -> "OfferReply":
        """Parse the reply at the coordinator."""
        return cls(str(_config(message).get("site", "")))


def _config(message: Message) -> Mapping[str, object]:
    config = message.content.config_records.get("config")
    if config is None:
        raise Malformed("no config")
    if config.get("schema") != SCHEMA:
        raise OtherSchema(f"schema {config.get('schema')!r}, expected {SCHEMA}")
    return config


def _number(record: Mapping[str, object], key: str) -> float:
    value = record.get(key)
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise Malformed(f"no finite number {key}")
    return value


def _decoded(record: ArrayRecord) -> dict[str, NDArray[np.generic]]:
    try:
        return from_record(record)
    except ValueError as exc:
        raise Malformed("arrays that cannot be decoded") from exc


def _floats(record: ArrayRecord, name: str) -> NDArray[np.float64]:
    if name not in record:
        raise Malformed(f"no array {name}")
    try:
        return np.asarray(decode(record[name]), dtype=np.float64)
    except ValueError as exc:
        raise Malformed(f"an array {name} that cannot be decoded") from exc


def _evaluation(metrics: Mapping[str, object]) -> dict[str, Statistic]:
    return {
        name.removeprefix("eval."): list(value)
        for name, value in metrics.items()
        if name.startswith("eval.") and isinstance(value, list)
    }
