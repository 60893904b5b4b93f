"""Rotation-invariant pooling over right angles (IBSI O1AQ)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product

import numpy as np

from radiocard.preprocessing.filters.window import Floats, Kernel
from radiocard.specs.filters import Pooling

Chain = tuple[Kernel, ...]  # what one axis is convolved with, one kernel after another


def right_angle_turns(n_axes: int) -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """Yield the 4 rotations of the plane or the 24 of space that map the axes onto themselves.

    Parameters
    ----------
    n_axes : int
        2 or 3.

    Yields
    ------
    order : tuple of int
        Which kernel each axis takes.
    flips : tuple of bool
        Which of them are reversed; there are no reflections.
    """
    for order in permutations(range(n_axes)):
        odd = sum(order[a] > order[b] for a in range(n_axes) for b in range(a + 1, n_axes)) % 2
        for flips in product((False, True), repeat=n_axes):
            if sum(flips) % 2 == odd:
                yield order, flips


def turned_chains(chains: Sequence[Chain]) -> list[list[Chain]]:
    """Return the kernels of each axis after each right-angle rotation, each different set once.

    Every set occurs equally often among the rotations, so means and extremes do not change.

    Parameters
    ----------
    chains : sequence of tuple of kernel
        Kernels along each of two or three axes.

    Returns
    -------
    list of list of tuple of kernel
    """
    found: dict[bytes, list[Chain]] = {}
    for order, flips in right_angle_turns(len(chains)):
        turned = [
            tuple(_reversed(kernel) for kernel in chains[at]) if flip else chains[at]
            for at, flip in zip(order, flips, strict=True)
        ]
        key = b"|".join(values.tobytes() + bytes([centre]) for chain in turned for values, centre in chain)
        found.setdefault(key, turned)
    return list(found.values())


def pool(responses: Iterable[Floats], how: Pooling) -> Floats:
    """Return the voxel-wise maximum, minimum or mean of several responses.

    Parameters
    ----------
    responses : iterable of ndarray
        Of one shape, at least one.
    how : {'max', 'min', 'average'}
        What is taken.

    Returns
    -------
    ndarray of float
    """
    combine = {"max": np.maximum, "min": np.minimum, "average": np.add}[how]
    rest = iter(responses)
    total = np.array(next(rest))
    n = 1
    for response in rest:
        combine(total, response, out=total)
        n += 1
    return total / n if how == "average" else total


def _reversed(kernel: Kernel) -> Kernel:
    values, centre = kernel
    return np.ascontiguousarray(values[::-1]), values.size - 1 - centre
