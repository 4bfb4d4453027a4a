import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

STUDY = """schema = 1
name = "s3-glioma-grade"
[task]
kind = "classification"
column = "grade"
classes = ["G2", "G3", "G4"]
[model]
architecture = "s1_crossattn"
[modalities.slides]
encoder = "mobilenet_v2"
[modalities.expression]
[modalities.blood]
[training]
rounds = 20
"""
SITES = {"HT": 60, "DU": 52, "S9": 48, "06": 40, "FG": 39, "DB": 34, "QH": 26, "TM": 24}
SKILL = {"federated": (0.86, 0.83), "local": (0.79, 0.69), "pooled": (0.87, 0.84)}


def v(
    value: float | None, half: float = 0.04, n: int = 100, events: int | None = None, reason: str | None = None
) -> dict[str, Any]:
    low = None if value is None else value - half
    high = None if value is None else min(0.995, value + 0.9 * half)
    return {
        "value": value,
        "low": low,
        "high": high,
        "sd": None,
        "n": n,
        "events": events,
        "from": "patients",
        "reason": reason,
    }


def _scores(
    base: float, names: tuple[str, ...], n: int, rng: np.random.Generator, events: int | None, half: float
) -> dict[str, Any]:
    lower = ("brier", "ece", "ibs")
    found = {}
    for i, name in enumerate(names):
        value = 1.05 - base if name in lower else min(0.98, base - 0.03 * i + rng.normal(0, 0.01))
        found[name] = v(round(float(value), 4), half, n, events)
    return found


def _site(name: str, n: int, rng: np.random.Generator, survival: bool) -> dict[str, Any]:
    mix = rng.multinomial(n, rng.dirichlet([2, 2, 1.5]))
    held = {
        "slides": 0 if name == "QH" else n - n // 8,
        "expression": n - n // 12,
        "blood": 0 if name == "TM" else n - n // 5,
    }
    test = round(0.3 * n)
    found: dict[str, Any] = {"patients": n, "train": n - test, "test": test, "events": n // 3, "modalities": held}
    return found | {"classes": {} if survival else dict(zip(("G2", "G3", "G4"), map(int, mix), strict=True))}


def _arm(arm: str, names: tuple[str, ...], rng: np.random.Generator, survival: bool) -> dict[str, Any]:
    own, unseen = SKILL[arm]
    events = 31 if survival else None
    sites = {
        site: _scores(own + rng.normal(0, 0.05), names, round(0.3 * n), rng, None, 0.12) for site, n in SITES.items()
    }
    nulls = ("c_index", "c_index_within_site", "ipcw_c_index") if survival else ("auc", "pr_auc", "micro_auc", "mcc")
    for name in nulls:
        sites["06"][name] = v(None, n=12, reason="fewer than 5 events" if survival else "one class")
    rounds = []
    for r in range(1, 21):
        loss = 0.45 + 0.75 * np.exp(-r / 6)
        single = {
            site: {"loss": float(loss * rng.uniform(0.8, 1.25)), "patients": round(0.7 * n)}
            for site, n in SITES.items()
        }
        held = ["blood"] if arm == "federated" and r == 3 else []
        rounds.append(
            {
                "round": r,
                "loss": None if arm == "local" else float(loss),
                "sites": {} if arm == "pooled" else single,
                "kept": held,
            }
        )
    drops = (("slides", 0.06), ("expression", 0.11), ("blood", 0.02))
    without = {
        name: {
            "own": _scores(own - drop, names, 97, rng, events, 0.05),
            "unseen": _scores(unseen - drop, names, 46, rng, events, 0.06),
        }
        for name, drop in drops
    }
    subsets = {}
    if arm == "federated":
        for name, n, loss in (("slides", 80, 0.1), ("blood", 70, 0.15), ("slides+blood", 90, 0.05)):
            subsets[name] = {
                "own": _scores(own - loss, names[:2], n, rng, events, 0.05),
                "unseen": _scores(unseen - loss, names[:2], n // 2, rng, events, 0.06),
                "sites": {site: _scores(own - loss, names[:2], 12, rng, None, 0.12) for site in SITES},
            }
        subsets["blood"]["sites"]["TM"] = {name: v(None, n=0, reason="no patients") for name in names[:2]}
    return {
        "own": _scores(own + 0.01, names, 97, rng, events, 0.045),
        "own_site_mean": _scores(own, names, 97, rng, events, 0.05),
        "unseen": _scores(unseen, names, 46, rng, events, 0.06),
        "sites": sites,
        "without": without,
        "subsets": subsets,
        "rounds": rounds,
    }


def _calibration(survival: bool, rng: np.random.Generator) -> dict[str, Any]:
    def bin_(p: float, n: int, **keys: Any) -> dict[str, Any]:
        if n < 5:
            empty = dict.fromkeys(("predicted", "observed", "low", "high"))
            return {**keys, **empty, "n": n, "reason": "fewer than 5 patients" if n else "no patients"}
        shown = min(0.97, max(0.03, p + rng.normal(0, 0.04)))
        return {
            **keys,
            "predicted": p,
            "observed": shown,
            "low": shown - 0.03,
            "high": shown + 0.03,
            "n": n,
            "reason": None,
        }

    def bins() -> list[dict[str, Any]]:
        if survival:
            found = [bin_(0.1 + 0.18 * g, 9, months=m, group=g + 1) for m in (12, 24, 60) for g in range(5)]
            return [{**each, "events": 2} for each in found]
        return [
            bin_((k + 0.5) / 15, 0 if k < 6 else 4 * (k - 5), **{"from": k / 15, "to": (k + 1) / 15}) for k in range(15)
        ]

    return {place: {"predictions": 97, "patients": 97, "bins": bins()} for place in ("own", "unseen")}


def _curve(rate: float, n: int, rng: np.random.Generator) -> dict[str, Any]:
    times = np.sort(rng.exponential(1 / rate, n)).round(1)
    times = times[times < 110]
    survival = np.cumprod(1 - 1 / (n - np.arange(len(times)) + 1))
    return {"n": n, "events": len(times), "time": times.tolist(), "survival": survival.tolist()}


def _metrics(kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    survival = kind == "survival"
    names: tuple[str, ...] = ("c_index", "c_index_within_site", "ipcw_c_index", "ibs")
    if not survival:
        names = (
            "auc",
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "recall_macro",
            "precision_macro",
            "micro_auc",
            "pr_auc",
            "mcc",
        )
        names += ("brier", "ece")
    main = names[0]
    comparisons = [
        {"a": "federated", "b": b, "where": where, "metric": main, "difference": d, "low": d - 0.05, "high": d + 0.05}
        for b, where, d in (
            ("local", "own_site_mean", 0.068),
            ("local", "unseen", 0.137),
            ("pooled", "own_site_mean", -0.012),
            ("pooled", "unseen", -0.011),
        )
    ]
    floor = {"own": _scores(0.81, names, 97, rng, None, 0.05), "unseen": _scores(0.74, names, 46, rng, None, 0.06)}
    alone = {name: v(None, reason="a constant a site ranks nobody") for name in names} | (
        {} if survival else {"accuracy": v(0.52)}
    )
    found: dict[str, Any] = {
        "schema": 1,
        "software": {"mmfed": "0.1.0", "flwr": "1.41.0", "torch": "2.8.0"},
        "seed": 0,
        "synthetic": ["slides", "expression", "blood"],
        "study": {
            "name": "s3-glioma-" + ("survival" if survival else "grade"),
            "digest": "3f9a" * 16,
            "task": kind,
            "architecture": "s1_crossattn",
            "parameters": 1284611,
        },
        "protocol": {"name": "holdout", "folds": 1, "repeats": 1, "test_fraction": 0.3},
        "cohort": {
            "patients": 369,
            "excluded": {"no modality at all": 2, "no grade": 5},
            "sites": {site: _site(site, n, rng, survival) for site, n in SITES.items()},
            "unseen": {
                "patients": 46,
                "sites": 4,
                "events": 15,
                "classes": {} if survival else {"G2": 20, "G3": 16, "G4": 10},
            },
        },
        "arms": {arm: _arm(arm, names, rng, survival) for arm in ("federated", "pooled", "local")},
        "comparisons": comparisons,
        "baselines": {"linear_expression": floor, "site_alone": {"own": alone, "unseen": alone}},
        "privacy": {},
        "timing": {
            "prepare_s": 61.2,
            "arms": {"federated": 14.2, "pooled": 11.0, "local": 12.9},
            "round_median_s": 0.61,
        },
        "command": "python simulations/run.py --seed 0",
        "notes": ["The expression table came z-scored over its whole cohort, test patients included."],
        "started": "2026-02-03T10:15:00+00:00",
    }
    found["calibration"] = {arm: _calibration(survival, rng) for arm in SKILL}
    found["fairness"] = {
        arm: {
            "sex": [{"group": sex, **v(0.8 + rng.normal(0, 0.02), n=60)} for sex in ("female", "male")],
            "age": [{"group": "under 40", **v(0.82)}, {"group": "80 and over", **v(None, n=4, reason="under 10")}],
        }
        for arm in SKILL
    }
    for arm in found["arms"].values():
        arm["unseen_sites"] = {"CS": _scores(0.8, names, 18, rng, 7 if survival else None, 0.1)}
    if survival:
        groups = [("lower predicted risk", 0.004), ("middle", 0.012), ("higher predicted risk", 0.035)]
        curves = {
            arm: [{"group": name, **_curve(rate, 15, rng)} for name, rate in groups]
            for arm in ("federated", "pooled", "local")
        }
        found["curves"] = {"kaplan_meier": {"unseen": curves}}
    else:
        found["signal"] = {"slides": v(0.76), "expression": v(0.81), "blood": v(0.72)}
    return found


@pytest.fixture
def plain(metrics_of: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Metrics without a picture."""
    return {**metrics_of("classification"), "arms": {}, "baselines": {}, "comparisons": [], "signal": {}}


@pytest.fixture(scope="session")
def _made() -> dict[str, dict[str, Any]]:
    return {kind: _metrics(kind) for kind in ("classification", "survival")}


@pytest.fixture
def metrics_of(_made: dict[str, dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """A fresh metrics.json of one kind, as large as the demo's."""
    return lambda kind: copy.deepcopy(_made[kind])


@pytest.fixture(scope="session")
def study_toml() -> str:
    return STUDY
