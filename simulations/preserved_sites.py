"""Which hospitals go into which fold, so that no hospital is in two and every fold has its share of every class.

Preserved-site cross-validation of Howard et al. (Nat Commun 2021, 12:4423), as slideflow states it: choose a fold for
every site so that the sum over folds f and classes c of (K n_fc - N_c)^2 is least, where K is the number of folds, n_fc
the patients of class c in fold f and N_c those in all. Theirs needs a commercial solver of quadratic programmes; here
the square, which is convex and met at whole numbers only, is the maximum of its tangents between them, so that HiGHS
(scipy) solves a linear programme in whole numbers. Its first answer is one that a search by moves and swaps found.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

__all__ = ["Assignment", "assign_sites", "imbalance"]

NODES = 1500  # of the search trees, after which the best answer so far is taken; a limit of time would not repeat
STARTS = 500  # of the search by moves and swaps
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Assignment:
    """A fold for every site."""

    fold: Integers  # (S,) from 0 to K - 1
    imbalance: int  # sum of (K n_fc - N_c)^2, 0 = every fold has its exact share
    bound: int  # no assignment has less; equal to the imbalance where the answer is proven to be the best

    @property
    def proven(self) -> bool:
        """Whether no assignment is better."""
        return self.bound >= self.imbalance


def imbalance(counts: Integers, fold: Integers, folds: int) -> int:
    """The sum over folds and classes of (K n_fc - N_c)^2, from patients (S, C) of every site and class."""
    per_fold = np.zeros((folds, counts.shape[1]), dtype=np.int64)
    np.add.at(per_fold, fold, counts)
    return int(((folds * per_fold - counts.sum(axis=0)) ** 2).sum())


def assign_sites(counts: Integers, folds: int, seed: int = 0, nodes: int = NODES) -> Assignment:
    """Deal S sites to K folds, none of them empty.

    Parameters
    ----------
    counts
        (S, C) patients of every site and class.
    folds
        K, from 2 to S.
    seed
        Of the search, which decides where several assignments are as good.
    nodes
        Largest effort of the proof; the answer may then be one that is not proven to be the best.

    Raises
    ------
    ValueError
        Fewer sites than folds.
    """
    if not 2 <= folds <= len(counts):
        raise ValueError(f"expected 2 to {len(counts)} folds, got {folds}")
    counts = counts[:, counts.any(axis=0)].astype(np.int64)
    best = _searched(counts, folds, np.random.default_rng(seed))
    fold, bound = _solved(counts, folds, best, nodes)
    return Assignment(_ordered(fold, counts), imbalance(counts, fold, folds), bound)


def _searched(counts: Integers, folds: int, rng: np.random.Generator) -> Integers:
    """The best of several greedy assignments, each improved by moves and swaps until none helps."""
    found = [_improved(counts, folds, _greedy(counts, folds, rng)) for _ in range(STARTS)]
    return min(found, key=lambda fold: imbalance(counts, fold, folds))


def _greedy(counts: Integers, folds: int, rng: np.random.Generator) -> Integers:
    """Large sites first (jittered), each into the fold where it costs least; the first K fill a fold each."""
    sizes = counts.sum(axis=1)
    order = np.argsort(-sizes * rng.uniform(0.7, 1.3, len(sizes)))
    fold, per_fold = np.zeros(len(counts), dtype=np.int64), np.zeros((folds, counts.shape[1]), dtype=np.int64)
    share = counts.sum(axis=0)
    for place, site in enumerate(order):
        cost = ((folds * (per_fold + counts[site]) - share) ** 2 - (folds * per_fold - share) ** 2).sum(axis=1)
        fold[site] = place if place < folds else int(cost.argmin())
        per_fold[fold[site]] += counts[site]
    return fold


def _improved(counts: Integers, folds: int, fold: Integers) -> Integers:
    """Move one site, or swap two, as long as that lowers the imbalance. A fold never loses its last site."""
    fold, sites = fold.copy(), np.arange(len(counts))
    per_fold = np.zeros((folds, counts.shape[1]), dtype=np.int64)
    np.add.at(per_fold, fold, counts)
    excess = folds * per_fold - counts.sum(axis=0)  # (K, C); a change d of n_fc costs 2 K excess d + (K d)^2
    norm = (counts**2).sum(axis=1)
    while True:
        linear = counts @ excess.T  # (S, K)
        own = linear[sites, fold]
        move = 2 * folds * (linear - own[:, None]) + 2 * folds**2 * norm[:, None]
        move[sites, fold] = 0
        move[np.bincount(fold, minlength=folds)[fold] == 1] = 0
        # swapping a and b moves the difference of their counts from the one fold to the other
        apart = norm[:, None] + norm[None, :] - 2 * counts @ counts.T
        cross = linear[:, fold]  # (a, b): counts of a times the excess of b's fold
        swap = 2 * folds * (cross - own[:, None] + cross.T - own[None, :]) + 2 * folds**2 * apart
        swap[fold[:, None] == fold[None, :]] = 0
        if min(move.min(), swap.min()) >= 0:
            return fold
        before = fold.copy()
        if move.min() <= swap.min():
            site, to = np.unravel_index(move.argmin(), move.shape)
            fold[site] = to
        else:
            a, b = np.unravel_index(swap.argmin(), swap.shape)
            fold[a], fold[b] = before[b], before[a]
        for site in np.flatnonzero(fold != before):
            excess[before[site]] -= folds * counts[site]
            excess[fold[site]] += folds * counts[site]


def _solved(counts: Integers, folds: int, known: Integers, nodes: int) -> tuple[Integers, int]:
    """The best assignment that is found from `known` on, and a lower bound of all.

    Tangents are added where an answer lies until its linear cost is its true one.
    """
    best, cost, bound = known, imbalance(counts, known, folds), 0
    programme = _Programme(counts, folds)
    for near in range(-3, 4):  # where the good answers are
        programme.tangents(counts.sum(axis=0)[None, :].repeat(folds, 0) // folds + near)
    while nodes > 0 and cost > bound:
        answer = programme.solve(cost, nodes)
        nodes -= answer.nodes
        bound = max(bound, min(answer.bound, cost))
        if answer.fold is None:
            break
        found = imbalance(counts, answer.fold, folds)
        if found < cost:
            best, cost = answer.fold, found
        per_fold = np.zeros((folds, counts.shape[1]), dtype=np.int64)
        np.add.at(per_fold, answer.fold, counts)
        programme.tangents(per_fold)
    return best, bound


@dataclass(frozen=True)
class _Answer:
    fold: Integers | None  # None: nothing is better, or nothing was found in time
    bound: int
    nodes: int


class _Programme:
    """Minimise sum z_fc where every site has one fold and z_fc lies above the tangents of (K n_fc - N_c)^2.

    Variables: x_sf (S K whole numbers, 0 or 1), then z_fc (K C).
    """

    def __init__(self, counts: Integers, folds: int) -> None:
        self.counts, self.folds = counts, folds
        self.share = counts.sum(axis=0)
        self.sites, self.classes = counts.shape
        self.size = self.sites * folds + folds * self.classes
        self.rows: list[dict[int, float]] = []
        self.low: list[float] = []
        self.high: list[float] = []
        for s in range(self.sites):
            self._row({s * folds + f: 1.0 for f in range(folds)}, 1.0, 1.0)
        for f in range(folds):
            self._row({s * folds + f: 1.0 for s in range(self.sites)}, 1.0, np.inf)
        self.known: set[tuple[int, int, int]] = set()

    def _row(self, row: dict[int, float], low: float, high: float) -> None:
        self.rows.append(row)
        self.low.append(low)
        self.high.append(high)

    def tangents(self, per_fold: Integers) -> None:
        """At these counts (K, C), z lies above the chords of the square to the next counts: exact at whole numbers."""
        for f, c in np.ndindex(per_fold.shape):
            n = int(per_fold[f, c])
            if (f, c, n) not in self.known:
                self.known.add((f, c, n))
                self._chord(f, c, n - 1)
                self._chord(f, c, n)

    def _chord(self, f: int, c: int, n: int) -> None:
        """From n to n + 1 patients. With d = K n - N: z >= (start + end) d - start end, in terms of x."""
        start = self.folds * n - int(self.share[c])
        slope, level = 2 * start + self.folds, -start * (start + self.folds)
        row = {s * self.folds + f: -float(slope * self.folds * k) for s, k in enumerate(self.counts[:, c]) if k}
        row[self.sites * self.folds + f * self.classes + c] = 1.0
        self._row(row, float(level - slope * int(self.share[c])), np.inf)

    def solve(self, below: int, nodes: int) -> _Answer:
        """An assignment whose linear cost is the least, if that is less than `below`.

        Folds have no names, so that the largest site may be in the first, the next in the first two, and so on.
        """
        whole = self.sites * self.folds
        upper = np.concatenate([np.ones(whole), np.full(self.size - whole, np.inf)])
        for place, site in enumerate(np.argsort(-self.counts.sum(axis=1), kind="stable")[: self.folds - 1]):
            upper[site * self.folds + place + 1 : (site + 1) * self.folds] = 0
        cost = np.concatenate([np.zeros(whole), np.ones(self.size - whole)])
        entries = [(r, col, value) for r, row in enumerate(self.rows) for col, value in row.items()]
        entries += [(len(self.rows), col, 1.0) for col in range(whole, self.size)]
        r, col, value = (np.array(part) for part in zip(*entries, strict=True))
        matrix = coo_array((value, (r, col)), shape=(len(self.rows) + 1, self.size)).tocsr()
        found = milp(
            cost,
            integrality=np.concatenate([np.ones(whole), np.zeros(self.size - whole)]),
            bounds=Bounds(np.zeros(self.size), upper),
            constraints=LinearConstraint(matrix, [*self.low, -np.inf], [*self.high, below - 0.5]),
            options={"node_limit": nodes, "mip_rel_gap": 0.0},
        )
        if found.status == 2:  # infeasible: nothing is better
            return _Answer(None, below, nodes)
        bound = 0 if found.mip_dual_bound is None else int(np.ceil(max(found.mip_dual_bound, 0.0) - 1e-6))
        spent = max(1, nodes if found.mip_node_count is None else int(found.mip_node_count))
        if found.x is None:
            return _Answer(None, bound, nodes)
        return _Answer(found.x[:whole].reshape(self.sites, self.folds).argmax(axis=1).astype(np.int64), bound, spent)


def _ordered(fold: Integers, counts: Integers) -> Integers:
    """The same folds, numbered by falling size: names carry nothing."""
    sizes = np.bincount(fold, weights=counts.sum(axis=1))
    names = np.empty(len(sizes), dtype=np.int64)
    names[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return names[fold]
