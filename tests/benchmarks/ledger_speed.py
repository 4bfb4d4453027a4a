"""What a privacy ledger of 100,000 entries costs: to verify, to charge, to project.

    python tests/benchmarks/ledger_speed.py [--entries 100000] [--heads 1000] [--charges 50] [--folder DIR]

`verify` walks over every entry and checks every signature; `open` is what a new process pays before its first message,
and `open again` what it pays from then on. `charge` is a whole `Budget.charge` of a round whose cost has been composed
before, so that it shows the ledger and the disk; the bar holds on an idle one. `projection` is `Budget.projected`, in
both relations, over ten distinct events.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from shared.privacy.budget import Budget, Policy  # noqa: E402
from shared.privacy.events import Event  # noqa: E402
from shared.privacy.ledger import Ledger  # noqa: E402
from shared.privacy.terms import Terms  # noqa: E402

POLICY = Policy(100.0, 1e-5, "benchmark")
EVENTS = [Event(0.01 + 0.002 * i, 2.5 + 0.3 * i, 1) for i in range(10)]
BARS = {"verify": 5000, "charge, median": 50, "charge, 95th percentile": 50, "projection 2": 200, "projection 3": 200}


def fill(folder: Path, entries: int, heads: int) -> None:
    """Charges of ten kinds, each released and acknowledged, with heads between them."""
    ledger = Ledger.open(folder, "A")
    Budget(ledger, POLICY)
    shape = {f"branches.slides.{i}.weight": [64, 64] for i in range(10)}
    for start in range(2, entries + 1, 1000):
        with ledger.writing() as writer:
            last = writer.last("head")
            parent = last.hash if last else ""
            for seq in range(start, min(start + 1000, entries + 1)):
                if seq % (entries // heads) == 0:
                    parent = writer.append("head", digest="d" * 64, run="1", round=1, parent=parent, seen={}).hash
                elif seq % 3 == 0:
                    event = EVENTS[seq % 10]
                    fields = {"sample_rate": event.sample_rate, "sigma": event.sigma, "steps": event.steps}
                    writer.append("charge", digest="d" * 64, run="1", round=seq, attempt=1, epsilon=1.0, **fields)
                elif seq % 3 == 1:
                    writer.append("released", charge=seq - 1, sha256="a" * 64, bytes=163840, tensors=shape)
                else:
                    writer.append("acked", charge=seq - 2, head_seq=1, head_hash="a" * 64)


def ms(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return 1e3 * (time.perf_counter() - started)


def measured(folder: Path, charges: int) -> dict[str, float]:
    """One new process's figures in ms."""
    found = {"open, new process": ms(lambda: Ledger.open(folder, "A"))}
    found["open again"] = ms(lambda: Ledger.open(folder, "A"))
    ledger = Ledger.open(folder, "A")
    budget = Budget(ledger, POLICY)
    found["verify"] = ms(ledger.verify)
    found["all charges"] = ms(lambda: ledger.entries("charge"))
    found["one charge"] = ms(lambda: budget.charged("d" * 64, "1", 3))
    for number in (1, 2, 3):
        event = EVENTS[2 + number]
        found[f"projection {number}"] = ms(lambda e=event: budget.projected(Event(e.sample_rate, e.sigma, 10)))  # type: ignore[misc]
    found["epsilon"] = budget.spent().epsilon
    times = [_charge(budget, round_) for round_ in range(charges)]
    found["charge, median"] = statistics.median(times)
    found["charge, 95th percentile"] = statistics.quantiles(times, n=20)[-1]
    return found


def _charge(budget: Budget, round_: int) -> float:
    terms = Terms("local", 4.0, 1e-5, 1.0, 3.0, 0.02, 1, 16.0, 30, "auto", "chacha20")
    budget.projected(terms.round)
    return ms(
        lambda: budget.charge(terms, digest="e" * 64, run="1", round_=round_, task="survival", fold="0.0", cohort=0)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--heads", type=int, default=1000)
    parser.add_argument("--charges", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="On the disk to be measured; default: the temporary folder.")
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(options.child, options.charges)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(f"filled in {ms(lambda: fill(Path(name), options.entries, options.heads)) / 1e3:.1f} s", flush=True)
        call = [sys.executable, __file__, "--child", name, "--charges", str(options.charges)]
        found = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout)
        whole = not Ledger.open(Path(name), "A").verify().faults
    print(f"{options.entries:,} entries, {options.heads:,} heads, epsilon {found.pop('epsilon'):.2f}, whole: {whole}\n")
    print("| what | ms | bar | |\n|---|---|---|---|")
    for what, took in found.items():
        bar = BARS.get(what)
        print(f"| {what} | {took:.1f} | {bar or ''} | {'' if bar is None else 'kept' if took <= bar else 'MISSED'} |")


if __name__ == "__main__":
    main()
