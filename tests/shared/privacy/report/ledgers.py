"""Small real ledgers to report on: one hospital, its policy, approvals, charges, releases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy.optimize import brentq
from scipy.stats import norm

from shared.privacy.budget import Budget, Policy
from shared.privacy.ledger import Ledger
from shared.privacy.terms import Terms
from shared.site import Site, read_site

GOVERNANCE = {
    "purpose": "Grading of gliomas",
    "controller": "University Hospital A, Example Street 1",
    "contact": "privacy@a.example",
    "ethics_reference": "EK 2026-17",
    "retention": "10 years after the end of the study",
}
PRIVACY = {
    "mode": "local",
    "epsilon": 4.0,
    "delta": 1e-5,
    "clip": 0.5,
    "sigma": 10.0,
    "sample_rate": 1.0,
    "steps_per_round": 1,
    "expected_batch": 16.0,
    "backend": "loop",
    "noise_source": "chacha20",
}
STUDY: dict[str, Any] = {
    "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
    "modalities": {
        "slides": {"encoder": "mobilenet_v2", "encoder_sha256": "ab" * 32},
        "expression": {"genes": "panel", "normalise": "rank", "aux": ["mutations"]},
        "clinical": {"columns": ["age_at_diagnosis", "sex"]},
    },
    "training": {"rounds": 4},
}
TERMS = Terms(
    mode="local",
    epsilon=4.0,
    delta=1e-5,
    clip=0.5,
    sigma=10.0,
    sample_rate=1.0,
    steps_per_round=1,
    expected_batch=16.0,
    rounds=4,
    backend="loop",
    noise_source="chacha20",
)
"""Every patient in every step: T rounds are one Gaussian release with noise 10 / sqrt(T), which has a closed form."""
TENSORS = {"fusion.head.weight": [3, 8], "branches.slides.token.weight": [8, 1280]}
PRIVATE, PLAIN = "1" * 64, "2" * 64


def gaussian_epsilon(noise: float, delta: float = 1e-5) -> float:
    """Of one release of sensitivity 1 with that noise: Balle and Wang 2018 (ICML), theorem 8."""

    def excess(epsilon: float) -> float:
        a, b = 1 / (2 * noise), epsilon * noise
        return float(norm.cdf(a - b) - norm.cdf(-a - b) * 2.718281828459045**epsilon - delta)

    return float(brentq(excess, 0, 50))


def site_of(folder: Path, sections: str = "") -> Site:
    """A hospital's site file, read."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    file = folder / "site.toml"
    file.write_text(f'schema = 1\n[site]\nid = "A"\nname = "University Hospital A"\n{sections}')
    return read_site(file)


def budget_of(site: Site, cap: float = 8.0) -> Budget:
    """The site's ledger, under a cap that M. Keller has set."""
    ledger = Ledger.open(site.state / "privacy", site.id)
    return Budget(ledger, Policy(cap, 1e-5, "M. Keller"))


def approve(budget: Budget, digest: str = PRIVATE, *, private: bool = True, **body: Any) -> None:
    """An approval by J. Ortega."""
    facts: dict[str, Any] = {
        "name": "glioma-grade" if private else "glioma-plain",
        "mode": "local" if private else "off",
        "terms": PRIVACY if private else None,
        "epsilon_alone": 1.0 if private else None,
        "epsilon_after": 1.0 if private else None,
        "person": "J. Ortega",
        "mappings": {"columns": {"grade": "who_grade"}, "values": {}},
        "governance": GOVERNANCE,
        "study": STUDY,
        **body,
    }
    budget.ledger.append("approval", digest=digest, **facts)


def cohort(budget: Budget, bucket: str = "100-199", excluded: str = "<10") -> None:
    """The patients of a handshake."""
    budget.ledger.append(
        "cohort",
        cohort="0123456789ab",
        version=1,
        keys_sha256="c" * 64,
        bucket=bucket,
        manifest_sha256="d" * 64,
        excluded=excluded,
    )


def train(budget: Budget, round_: int, *, run: str = "71", terms: Terms = TERMS, digest: str = PRIVATE) -> None:
    """One round: charged, released, its head sent and echoed."""
    entry = budget.charge(terms, digest=digest, run=run, round_=round_, task="classification", fold="0.0", cohort=0)
    budget.release(entry.seq, "e" * 64, 41_000, TENSORS)
    head = budget.export(digest=digest, run=run, round_=round_, seen={"f" * 16: [3, "a" * 64]})
    budget.check_echo(head.text())


def sent(budget: Budget, what: str, digest: str = PRIVATE, run: str = "71", **fields: Any) -> None:
    """Something else that left."""
    body: Mapping[str, Any] = {"mechanism": "none", "unaccounted": True, "approver": "J. Ortega", **fields}
    budget.ledger.append("aux", digest=digest, run=run, what=what, **body)
