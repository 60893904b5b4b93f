"""The shape of many trees as flat arrays, and the proof that it is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiocard.models.codecs.arrays import ArrayReader, Ints
from radiocard.models.recipes import MAX_DEPTH, MAX_TREES

MAX_NODES = 5_000_000


@dataclass(frozen=True, eq=False)
class Forest:
    """Nodes of all trees, one tree after the other; node numbers count within a tree.

    Parameters
    ----------
    sizes : ndarray of int, shape (n_trees,)
        Nodes per tree.
    left, right : ndarray of int, shape (n_nodes,)
        Children; -1 for a leaf.
    feature : ndarray of int, shape (n_nodes,)
        Column compared; 0 for a leaf.
    depth : ndarray of int, shape (n_trees,)
        Depth of each tree; 0 for a single leaf.
    parent : ndarray of int, shape (n_nodes,)
        Parent; -1 for a root.
    """

    sizes: Ints
    left: Ints
    right: Ints
    feature: Ints
    depth: Ints
    parent: Ints

    @property
    def leaf(self) -> NDArray[np.bool_]:
        """Whether a node is a leaf, shape (n_nodes,)."""
        return np.asarray(self.left < 0)

    def parts(self) -> list[slice]:
        """Return where each tree stands in the arrays."""
        ends = np.cumsum(self.sizes)
        return [slice(int(e - n), int(e)) for e, n in zip(ends, self.sizes, strict=True)]


def read_forest(arrays: ArrayReader, *, n_trees: int | None, n_features: int) -> Forest:
    """Read trees and prove that each is one: no C code sees them before.

    Children come after their parent (so there is no cycle), every node but the root is
    the child of exactly one node, columns exist, and no tree is deeper than the cap.

    Raises
    ------
    ModelError
        If any of it does not hold.
    """
    sizes = arrays.ints("sizes", (n_trees,), low=1, high=MAX_NODES)
    total = int(sizes.sum())
    if not 1 <= len(sizes) <= MAX_TREES * 100 or total > MAX_NODES:
        arrays.refuse(f"{len(sizes)} trees with {total} nodes are more than the cap")
    left = arrays.ints("left", (total,), low=-1, high=MAX_NODES)
    right = arrays.ints("right", (total,), low=-1, high=MAX_NODES)
    feature = arrays.ints("feature", (total,), low=0, high=n_features - 1)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    node = np.arange(total) - start
    inner = left >= 0
    if (inner != (right >= 0)).any():
        arrays.refuse("a node has one child")
    size = np.repeat(sizes, sizes)
    late = (left[inner] > node[inner]) & (right[inner] > node[inner])
    inside = (left[inner] < size[inner]) & (right[inner] < size[inner])
    if not (late & inside).all():
        arrays.refuse("a child does not come after its parent within its tree")
    children = np.concatenate([(left + start)[inner], (right + start)[inner]])
    roots = node == 0
    times = np.bincount(children, minlength=total)
    if not (times == np.where(roots, 0, 1)).all():
        arrays.refuse("a node is not the child of exactly one node")
    parent = np.full(total, -1)
    parent[(left + start)[inner]] = node[inner]
    parent[(right + start)[inner]] = node[inner]
    return Forest(sizes, left, right, feature, _depths(arrays, sizes, parent, start, total), parent)


def _depths(arrays: ArrayReader, sizes: Ints, parent: Ints, start: Ints, total: int) -> Ints:
    """Return the depth of each tree, by letting all nodes climb to their root together."""
    above = np.where(parent >= 0, parent + start, -1)
    depth = np.zeros(total, dtype=np.int64)
    here = np.arange(total)
    at = above.copy()
    while (moving := at >= 0).any():
        here, at = here[moving], at[moving]
        depth[here] += 1
        if depth[here[0]] > MAX_DEPTH:
            arrays.refuse(f"a tree is deeper than {MAX_DEPTH}")
        at = above[at]
    return np.asarray(np.maximum.reduceat(depth, np.cumsum(sizes) - sizes))
