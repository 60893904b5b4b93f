"""Codec of the random forest, and of the nodes of scikit-learn's trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import NODE_DTYPE, Tree

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.trees import read_forest

LEAF_FEATURE = -2
LEAF_THRESHOLD = -2.0
LIGHTEST = 1e-300


def forest_arrays(model: RandomForestClassifier) -> Mapping[str, Array]:
    """Return the nodes of all trees as flat arrays."""
    return node_arrays(model.estimators_)


def restore_forest(model: RandomForestClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`RandomForestClassifier` with trees whose nodes were checked."""
    trees = read_nodes(arrays, n_trees=int(model.n_estimators), n_features=n_features, n_classes=n_classes)
    model.estimators_ = [_tree(model, nodes, values, depth, n_features) for nodes, values, depth in trees]
    model.estimator_ = clone(model.estimator)
    model.classes_ = np.arange(n_classes)
    model.n_classes_ = n_classes
    model.n_outputs_ = 1
    model.n_features_in_ = n_features
    return n_classes


def node_arrays(fitted: Sequence[DecisionTreeClassifier]) -> dict[str, Array]:
    """Return the nodes of fitted trees as flat arrays, one tree after the other."""
    trees = [e.tree_ for e in fitted]

    def flat(name: str, dtype: str) -> Array:
        return np.concatenate([np.asarray(getattr(t, name)) for t in trees]).astype(dtype)

    return {
        "sizes": np.array([t.node_count for t in trees], dtype="<i8"),
        "left": flat("children_left", "<i8"),
        "right": flat("children_right", "<i8"),
        "feature": np.maximum(flat("feature", "<i8"), 0),
        "threshold": flat("threshold", "<f8"),
        "impurity": flat("impurity", "<f8"),
        "samples": flat("n_node_samples", "<i8"),
        "weight": flat("weighted_n_node_samples", "<f8"),
        "missing_left": flat("missing_go_to_left", "|u1"),
        "value": np.concatenate([t.value[:, 0, :] for t in trees]).astype("<f8"),
    }


def read_nodes(
    arrays: ArrayReader, *, n_trees: int | None, n_features: int, n_classes: int
) -> list[tuple[Array, Array, int]]:
    """Read the nodes of trees and prove them; see :func:`node_arrays`.

    Parameters
    ----------
    arrays : ArrayReader
    n_trees : int or None
        None for any number.
    n_features, n_classes : int

    Returns
    -------
    list of (nodes, values, depth)
        One per tree.

    Raises
    ------
    ModelError
        If they are not trees, or a number is out of bounds.
    """
    forest = read_forest(arrays, n_trees=n_trees, n_features=n_features)
    total = int(forest.sizes.sum())
    nodes = np.zeros(total, dtype=NODE_DTYPE)
    nodes["left_child"], nodes["right_child"] = forest.left, forest.right
    nodes["feature"] = np.where(forest.leaf, LEAF_FEATURE, forest.feature)
    nodes["threshold"] = np.where(forest.leaf, LEAF_THRESHOLD, arrays.floats("threshold", (total,)))
    nodes["impurity"] = arrays.floats("impurity", (total,))
    nodes["n_node_samples"] = arrays.ints("samples", (total,), low=1, high=2**40)
    nodes["weighted_n_node_samples"] = arrays.floats("weight", (total,), low=LIGHTEST)
    nodes["missing_go_to_left"] = arrays.flags("missing_left", (total,))
    values = arrays.floats("value", (total, n_classes), low=0.0)
    if not (values[forest.leaf].sum(axis=1) > 0).all():
        arrays.refuse("a leaf has no class")
    parts = zip(forest.parts(), forest.depth, strict=True)
    return [(nodes[part], values[part], int(depth)) for part, depth in parts]


def fill_tree(estimator: DecisionTreeClassifier, nodes: Array, values: Array, depth: int, n_features: int) -> None:
    """Fill one :class:`DecisionTreeClassifier` with what :func:`read_nodes` returned."""
    n_classes = values.shape[1]
    tree = Tree(n_features, np.array([n_classes], dtype=np.intp), 1)
    state = {
        "max_depth": depth,
        "node_count": len(nodes),
        "nodes": np.ascontiguousarray(nodes),
        "values": np.ascontiguousarray(values[:, None, :]),
    }
    tree.__setstate__(state)
    estimator.tree_ = tree
    estimator.n_features_in_ = n_features
    estimator.n_outputs_ = 1
    estimator.classes_ = np.arange(n_classes)
    estimator.n_classes_ = np.intp(n_classes)
    estimator.max_features_ = n_features


def _tree(model: Any, nodes: Array, values: Array, depth: int, n_features: int) -> DecisionTreeClassifier:
    estimator = clone(model.estimator)
    estimator.set_params(**{name: getattr(model, name) for name in model.estimator_params})
    fill_tree(estimator, nodes, values, depth, n_features)
    return estimator
