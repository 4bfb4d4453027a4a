"""Modularity: do patches that look alike belong to the same token (S3, arXiv 2406.07078)?

Per patient, with Hn the unit features of the bag (padded rows 0) and S_k the assignment of its N patches to token k:

    A  = relu(Hn Hn^T), A_ii = 0        affinity of two patches                           (N, N)
    dg = A 1,  s = 1^T A 1              degree of a patch; twice the weight of all edges
    W  = A - dg dg^T / s                Newman's modularity matrix (2006, PNAS 103:8577, eq. 3)

`paper` is Tr(W S^T S) / s = sum_k S_k W S_k^T / s, the formula that the paper prints. `cause` is Tr(W D) / s with
D_ij = max_k tanh(S_ki S_kj / 0.1), the codebook loss of CAUSE (arXiv 2310.07379), which the released code computes.
More is better. Gradients reach S alone, never the features.

The direct forms hold A. The blockwise ones never do: A depends on no parameter, so S A and dg are summed up from
tiles outside the graph, and q = 2<S, SA> - <stopgrad(S), SA> has the value <S, SA> and its gradient, 2 SA. A is
symmetric, so each tile serves its rows and its columns, and `paper` computes only half of A. `cause` does so for dg,
then goes over all rows once more, with D beside them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "assignments",
    "cause_modularity",
    "cause_modularity_direct",
    "paper_modularity",
    "paper_modularity_direct",
    "unit_features",
]

SHARPNESS = 0.1  # of the tanh in CAUSE
SMALLEST = 1e-6  # of s, so that a bag without an edge has modularity 0


def unit_features(features: Tensor, mask: Tensor) -> Tensor:
    """Patches (B, N, d) at length 1, cut from the graph, 0 where `mask` (B, N) is False: (B, N, d) float32."""
    return _unit(features.detach()) * mask[:, :, None]


def assignments(tokens: Tensor, unit: Tensor) -> Tensor:
    """Cosine of each token (B, K, d) with each patch (B, N, d) of length 1, at least 0: (B, K, N) float32."""
    with torch.autocast(unit.device.type, enabled=False):
        return torch.relu(_unit(tokens) @ unit.transpose(1, 2))


def paper_modularity(unit: Tensor, families: Sequence[Tensor], block: int = 256) -> list[Tensor]:
    """Tr(W S^T S) / s of each family of assignments, without ever holding A.

    Parameters
    ----------
    unit
        The patches, from `unit_features`: (B, N, d).
    families
        Assignments (B, K, N), from `assignments`; one list entry a kind of token.
    block
        Rows of A that are computed at a time; memory is B x block x N.

    Returns
    -------
    list of Tensor
        One (B,) a family; 0 for a bag without an edge.
    """
    with torch.autocast(unit.device.type, enabled=False):
        stacked = torch.cat(list(families), dim=1)
        through, degree = _through(unit, stacked.detach(), block)  # (B, K, N), (B, N)
        total = degree.sum(dim=1, keepdim=True).clamp(min=SMALLEST)  # (B, 1)
        inside = ((2 * stacked - stacked.detach()) * through).sum(
            dim=2
        )  # (B, K): the value S A S^T, the gradient 2 S A
        return _families((inside - _expected(stacked, degree, total)) / total, families)


def paper_modularity_direct(unit: Tensor, families: Sequence[Tensor]) -> list[Tensor]:
    """The same with A in memory: the reference that the blockwise form is held against."""
    with torch.autocast(unit.device.type, enabled=False):
        stacked = torch.cat(list(families), dim=1)
        affinity = _tile(unit, 0, unit.shape[1])
        degree = affinity.sum(dim=2)
        total = degree.sum(dim=1, keepdim=True).clamp(min=SMALLEST)
        inside = ((stacked @ affinity) * stacked).sum(dim=2)
        return _families((inside - _expected(stacked, degree, total)) / total, families)


def cause_modularity(unit: Tensor, families: Sequence[Tensor], block: int = 256) -> list[Tensor]:
    """Tr(W D) / s of each family, without ever holding A or D; arguments are those of `paper_modularity`.

    `block` bounds B x block x N for dg. D takes K rows of memory for each row of A, so block / K rows of it are
    computed at a time, at least one: a few arrays of B x max(block, K) x N, the tiles of all K products.
    The gradient is worked out beside the value: tanh rises, so D_ij is the tanh of the largest product, and only the
    token k that gives it has a gradient, W_ij (1 - D_ij^2) S_kj / 0.1, twice because W and D are symmetric.
    """
    with torch.autocast(unit.device.type, enabled=False):
        nothing = torch.zeros_like(unit[:, None, :, 0])
        _, degree = _through(unit, nothing, block)
        total = degree.sum(dim=1, keepdim=True).clamp(min=SMALLEST)
        found = []
        for family in families:
            fixed = family.detach()
            value, slope = torch.zeros_like(total[:, 0]), torch.zeros_like(fixed)
            height = max(1, block // max(1, family.shape[1]))  # every row takes K rows of memory
            for start in range(0, unit.shape[1], height):
                rows = slice(start, start + height)
                surplus = _tile(unit, start, height, whole=True) - degree[:, rows, None] * (degree / total)[:, None, :]
                products = fixed[:, :, rows, None] * fixed[:, :, None, :]  # (B, K, b, N)
                largest, winner = products.max(dim=1)
                agreement = (largest / SHARPNESS).tanh()
                value = value + (surplus * agreement).sum(dim=(1, 2))
                pull = 2 / SHARPNESS * surplus * (1 - agreement**2)
                won = torch.zeros_like(products).scatter(1, winner[:, None], pull[:, None])
                slope[:, :, rows] += (won * fixed[:, :, None, :]).sum(dim=3)
            found.append((value + ((family - fixed) * slope).sum(dim=(1, 2))) / total[:, 0])
        return found


def cause_modularity_direct(unit: Tensor, families: Sequence[Tensor]) -> list[Tensor]:
    """The same with A and D in memory: the reference."""
    with torch.autocast(unit.device.type, enabled=False):
        affinity = _tile(unit, 0, unit.shape[1])
        degree = affinity.sum(dim=2)
        total = degree.sum(dim=1, keepdim=True).clamp(min=SMALLEST)
        surplus = affinity - degree[:, :, None] * (degree / total)[:, None, :]
        found = []
        for family in families:
            largest, _ = (family[:, :, :, None] * family[:, :, None, :]).max(dim=1)
            found.append((surplus * (largest / SHARPNESS).tanh()).sum(dim=(1, 2)) / total[:, 0])
        return found


def _unit(x: Tensor) -> Tensor:
    """Length 1 along the last axis, in float32; a zero vector stays zero."""
    x = x.float()
    unit: Tensor = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=1e-8)
    return unit


def _tile(unit: Tensor, start: int, block: int, whole: bool = False) -> Tensor:
    """Rows start to start + block of A, from column `start` on, or `whole`: (B, b, N - start or N)."""
    columns = unit if whole else unit[:, start:]
    tile = (unit[:, start : start + block] @ columns.transpose(1, 2)).relu_()
    tile.diagonal(offset=start if whole else 0, dim1=1, dim2=2).zero_()
    return tile


def _through(unit: Tensor, rows: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """`rows` (B, K, N) times A, and the degrees (B, N), from the tiles on and above the diagonal."""
    stacked = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)  # a row of ones gives the degrees
    product = torch.zeros_like(stacked)
    for start in range(0, unit.shape[1], block):
        stop = start + block
        tile = _tile(unit, start, block)
        product[:, :, start:] += stacked[:, :, start:stop] @ tile
        product[:, :, start:stop] += stacked[:, :, stop:] @ tile[:, :, block:].transpose(1, 2)
        del tile  # before the next one is made
    return product[:, :-1], product[:, -1]


def _expected(rows: Tensor, degree: Tensor, total: Tensor) -> Tensor:
    """(S_k . dg)^2 / s, what the rows (B, K, N) would hold if patches were joined by degree alone: (B, K)."""
    squares: Tensor = (rows @ degree[:, :, None]).squeeze(2) ** 2 / total
    return squares


def _families(values: Tensor, families: Sequence[Tensor]) -> list[Tensor]:
    """Sum (B, K) over the rows of each family."""
    return [part.sum(dim=1) for part in torch.split(values, [family.shape[1] for family in families], dim=1)]
