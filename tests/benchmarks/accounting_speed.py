"""What it costs to project the next round over everything a site has spent, by the number of distinct events.

    python tests/benchmarks/accounting_speed.py [--repeats 5]

`first` is the first projection of a fresh process, which composes everything that was ever released; `next round` is
one more round of one of the events, the costliest of all positions; `new study` adds an event that was not there. The
bar is 200 ms for up to ten distinct events once the composition is in memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from shared.privacy.accounting import Relation, epsilon  # noqa: E402
from shared.privacy.events import Event  # noqa: E402

DELTA, BAR_MS = 1e-5, 200


def spent(distinct: int) -> list[Event]:
    """So many trainings of different rates and noise, together about as costly as a cap of 8 allows."""
    stretch = distinct**0.35
    return [Event(0.05 + 0.02 * i, (0.8 + 0.2 * i) * stretch, 150 + 10 * i) for i in range(distinct)]


def ms(events: Sequence[Event], relation: Relation) -> float:
    started = time.perf_counter()
    epsilon(events, DELTA, relation)
    return 1e3 * (time.perf_counter() - started)


def measured(distinct: int, relation: Relation) -> dict[str, float]:
    """One process's figures in ms."""
    events = spent(distinct)
    first = ms(events, relation)
    rounds = [ms([*events, Event(e.sample_rate, e.sigma, 10)], relation) for e in events]
    return {
        "epsilon": epsilon(events, DELTA, relation),
        "first": first,
        "next round": max(rounds),
        "new study": ms([*events, Event(0.033, 3.0, 10)], relation),
        "asked again": ms(events, relation),
    }


def in_a_process(distinct: int, relation: Relation) -> dict[str, float]:
    call = [sys.executable, __file__, "--child", str(distinct), relation]
    found: dict[str, float] = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(int(options.child[0]), options.child[1])))
        return
    names = ("first", "next round", "new study", "asked again")
    print(f"| distinct | neighbours | epsilon | {' | '.join(f'{name}, ms' for name in names)} | bar {BAR_MS} ms |")
    print("|---|---|---|" + "---|" * (len(names) + 1))
    for relation in ("add_remove", "replace_one"):
        for distinct in (1, 3, 10):
            runs = [in_a_process(distinct, relation) for _ in range(options.repeats)]
            median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            kept = max(median["next round"], median["new study"]) <= BAR_MS
            cells = " | ".join(f"{median[name]:.1f}" for name in names)
            verdict = "kept" if kept else "MISSED"
            print(f"| {distinct} | {relation} | {median['epsilon']:.2f} | {cells} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
