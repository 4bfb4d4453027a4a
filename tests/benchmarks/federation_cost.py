"""What the in-process federation costs beside a plain PyTorch loop that does the same steps without Flower.

    python tests/benchmarks/federation_cost.py

Each case is measured in fresh processes, plain and federated in turn, and reported as the median ratio of time and of
peak memory. Both do the same: load the global weights, take the same optimizer steps on the same patients, average.
"""

import argparse
import base64
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CASES = {  # name -> sites, rounds, patients a site, hidden width options
    "1M": {"sites": 20, "rounds": 20, "genes": 2000, "dim": 280},
    "25M": {"sites": 8, "rounds": 5, "genes": 20000, "dim": 984},
    "below 100k": {"sites": 20, "rounds": 20, "genes": 300, "dim": 64},
}
PATIENTS = 32  # a site; two steps of 16


def study_of(case: dict[str, int]):
    from shared.cohort.genes import groups_digest
    from shared.study import parse_study

    groups = {"all": tuple(f"G{i:05d}" for i in range(case["genes"]))}
    return parse_study(
        {
            "schema": 1,
            "name": "bench",
            "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
            "model": {"architecture": "s1_crossattn", "dim": case["dim"], "heads": 8},
            "modalities": {
                "expression": {"genes": "gmt", "groups": groups, "genes_sha256": groups_digest(groups)},
                "clinical": {},
            },
            "training": {"rounds": case["rounds"], "batch_size": 16, "learning_rate": 1e-4},
            "split": {"test_fraction": 0.0},
        }
    )


def make_patients(case: dict[str, int], site: str):
    """One site's patients, drawn; the benchmark times training, not reading."""
    from shared.cohort.patients import Patients

    rng = np.random.default_rng(int(site[1:]))
    empty = np.zeros((PATIENTS, 0), dtype=np.float32)
    no = np.zeros((PATIENTS, 0), dtype=bool)
    return Patients(
        site=np.full(PATIENTS, site),
        case_id=np.array([f"{site}-{i}" for i in range(PATIENTS)]),
        modalities=("expression", "clinical"),
        present=np.ones((PATIENTS, 2), dtype=np.float32),
        bags=tuple(np.zeros((0, 0), dtype=np.float32) for _ in range(PATIENTS)),
        max_patches=1,
        expression=rng.normal(size=(PATIENTS, case["genes"])).astype(np.float32),
        expression_observed=np.ones((PATIENTS, case["genes"]), dtype=bool),
        aux=empty,
        aux_observed=no,
        blood=empty,
        blood_observed=no,
        clinical=rng.normal(size=(PATIENTS, 2)).astype(np.float32),
        clinical_observed=np.ones((PATIENTS, 2), dtype=bool),
        y=rng.integers(0, 3, PATIENTS),
        time=np.zeros(PATIENTS, dtype=np.float32),
        cens=np.zeros(PATIENTS, dtype=np.float32),
    )


def warm_up() -> None:
    """Import what torch imports at its first optimizer: seconds that both kinds would pay once."""
    import torch

    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], fused=True)


def plain(case: dict[str, int]) -> dict[str, float]:
    """The same steps, and a running mean: as little as a simulation can do."""
    import torch

    from shared.seeds import derive_seed
    from shared.tasks import task_of
    from shared.weights import new_model

    study = study_of(case)
    sites = {f"S{i:02d}": make_patients(case, f"S{i:02d}") for i in range(case["sites"])}
    task, digest, model = task_of(study.task), study.digest, new_model(study)
    parameters = dict(model.named_parameters())
    weights = {name: p.detach().clone() for name, p in parameters.items()}
    warm_up()
    started = time.perf_counter()
    for round_ in range(1, case["rounds"] + 1):
        rate = study.training.learning_rate * 0.5 * (1 + np.cos(np.pi * (round_ - 1) / case["rounds"]))
        mean = {name: torch.zeros_like(w) for name, w in weights.items()}
        for site, patients in sites.items():
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(weights[name])
            optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4, fused=True)
            seed = derive_seed(digest, site, round_)
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            model.train()
            for index in torch.randperm(len(patients), generator=generator).split(16):
                batch = patients.batch(index.numpy(), generator=generator, modality_dropout=0.3)
                output = model(batch)
                optimizer.zero_grad(set_to_none=True)
                (task.loss(output, batch) + output["aux_loss"]).mean().backward()
                optimizer.step()
            with torch.no_grad():
                for name, p in parameters.items():
                    mean[name].add_(p, alpha=1 / len(sites))
        weights = mean
    return {"seconds": time.perf_counter() - started, "parameters": sum(p.numel() for p in parameters.values())}


def federated(case: dict[str, int]) -> dict[str, float]:
    """The deployment's ServerApp and ClientApp over the in-process Grid, checkpoints and checks included."""
    from unittest.mock import patch

    from flwr.app import Context, RecordDict

    import client.app
    import client.session
    import server.app
    from shared.cohort.load import SitePatients
    from shared.logs import configure_logs
    from simulations.inline import InlineGrid

    configure_logs(level=40)
    study = study_of(case)
    names = [f"S{i:02d}" for i in range(case["sites"])]
    loaded = {name: make_patients(case, name) for name in names}
    run_config = {"study": base64.b64encode(study.canonical().encode()).decode(), "digest": study.digest}
    with tempfile.TemporaryDirectory() as folder:
        from client.approvals import approve
        from shared.site import read_site

        nodes = {}
        for name in names:
            home = Path(folder) / name
            (home / "data").mkdir(parents=True)
            (home / "site.toml").write_text(f'schema = 1\n[site]\nid = "{name}"\n', encoding="utf-8")
            nodes[name] = {"site": name, "site-file": str(home / "site.toml")}
            site = read_site(home / "site.toml")
            approve(site, study, person="benchmark")
            store = client.session.store_folder(site, client.session.PrepareSettings.of(study))
            store.mkdir(parents=True)
            (store / "manifest.json").touch()

        def load(store, study_, scale, withdrawn):
            none = np.zeros(PATIENTS, dtype=bool)
            return SitePatients(loaded[store], none, np.zeros(PATIENTS, dtype=np.int64), {}, {}, "")

        with (
            patch("client.session.load_patients", load),
            patch("client.session.FeatureStore.open", lambda path: path.parent.parent.parent.name),
        ):
            grid = InlineGrid(client.app.app, nodes, run_config)
            context = Context(
                run_id=1,
                node_id=1,
                node_config={},
                state=RecordDict(),
                run_config={**run_config, "runs": str(Path(folder) / "runs")},
                series_id=1,
            )
            warm_up()
            started = time.perf_counter()
            server.app.app(grid=grid, context=context)
            return {"seconds": time.perf_counter() - started, "parameters": 0}


def measure(kind: str, case: dict[str, int]) -> None:
    result = {"plain": plain, "federated": federated}[kind](case)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write("\n" + json.dumps(result) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--child", nargs=2, metavar=("KIND", "CASE"))
    options = parser.parse_args()
    if options.child:
        measure(options.child[0], CASES[options.child[1]])
        return
    print("| case | parameters | plain s | federated s | time ratio | memory ratio | overhead ms / site and round |")
    print("|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        if options.only not in (None, name):
            continue
        pairs = []
        for _ in range(options.repeats):
            pair = {}
            for kind in ("plain", "federated"):
                command = [sys.executable, __file__, "--child", kind, name]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                pair[kind] = json.loads(done.stdout.strip().splitlines()[-1])
            pairs.append(pair)
        ratio = statistics.median(p["federated"]["seconds"] / p["plain"]["seconds"] for p in pairs)
        memory = statistics.median(p["federated"]["peak_mb"] / p["plain"]["peak_mb"] for p in pairs)
        plain_s = statistics.median(p["plain"]["seconds"] for p in pairs)
        fed_s = statistics.median(p["federated"]["seconds"] for p in pairs)
        extra = 1000 * (fed_s - plain_s) / (case["sites"] * case["rounds"])
        count = pairs[0]["plain"]["parameters"]
        print(
            f"| {name} | {count:,} | {plain_s:.2f} | {fed_s:.2f} | {ratio:.2f} | {memory:.2f} | {extra:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
