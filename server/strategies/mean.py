"""FedAvg: the patient-weighted mean (McMahan et al. 2017, algorithm 1), one branch beside the other."""

from collections.abc import Mapping

import numpy as np

from server.updates import Updates
from shared.messages import branch_of
from shared.weights import Arrays

__all__ = ["weighted_mean"]

CHUNK = 1 << 16  # elements multiplied at a time: the product stays in the processor's cache


def weighted_mean(updates: Updates, totals: Mapping[str, float], current: Arrays) -> Arrays:
    """The mean of every branch named in `totals`, over the sites that hold it.

    Equal bit for bit to Flower's formula, sum over sites of x * (w / sum of w) in the arrays' own dtype; one site's
    arrays are in memory at a time.

    Parameters
    ----------
    totals
        Branch -> sum of its weights over all accepted sites.
    current
        The global arrays; shapes and dtypes are taken from them.
    """
    names = [name for name in current if branch_of(name) in totals]
    result: Arrays = {}
    product = np.empty(CHUNK, dtype=np.float32)
    for reply, arrays in updates.arrays():
        for name in names:
            branch = branch_of(name)
            if branch not in reply.patients:
                continue
            share = np.float32(reply.patients[branch] / totals[branch])
            flat = np.ascontiguousarray(arrays[name], dtype=np.float32).reshape(-1)
            if name not in result:
                result[name] = (flat * share).reshape(current[name].shape)
                continue
            total = result[name].reshape(-1)
            for low in range(0, len(flat), CHUNK):
                part = flat[low : low + CHUNK]
                np.multiply(part, share, out=product[: len(part)])
                np.add(total[low : low + CHUNK], product[: len(part)], out=total[low : low + CHUNK])
    return result
