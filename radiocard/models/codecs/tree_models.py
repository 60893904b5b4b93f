"""Codecs of the decision tree, AdaBoost and histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree import DecisionTreeClassifier

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.forest import fill_tree, node_arrays, read_nodes
from radiocard.models.codecs.trees import read_forest


def tree_arrays(model: DecisionTreeClassifier) -> Mapping[str, Array]:
    """Return the nodes of the tree."""
    return node_arrays([model])


def restore_tree(model: DecisionTreeClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`DecisionTreeClassifier` with nodes that were checked."""
    ((nodes, values, depth),) = read_nodes(arrays, n_trees=1, n_features=n_features, n_classes=n_classes)
    fill_tree(model, nodes, values, depth, n_features)
    return n_classes


def adaboost_arrays(model: AdaBoostClassifier) -> Mapping[str, Array]:
    """Return the nodes of all trees and their weights."""
    weights = np.asarray(model.estimator_weights_[: len(model.estimators_)], "<f8")
    return {**node_arrays(model.estimators_), "vote": weights}


def restore_adaboost(model: AdaBoostClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill an :class:`AdaBoostClassifier`; boosting may have stopped before its last tree."""
    trees = read_nodes(arrays, n_trees=None, n_features=n_features, n_classes=n_classes)
    if len(trees) > model.n_estimators:
        arrays.refuse(f"{len(trees)} trees, expected at most {model.n_estimators}")
    model.estimator_weights_ = arrays.floats("vote", (len(trees),), low=0.0)
    if not model.estimator_weights_.sum() > 0:
        arrays.refuse("no tree has a vote")
    model.estimator_ = model.estimator
    model.estimators_ = []
    for nodes, values, depth in trees:
        tree = model._make_estimator(append=True, random_state=None)
        fill_tree(tree, nodes, values, depth, n_features)
    model.classes_ = np.arange(n_classes)
    model.n_classes_ = n_classes
    model.n_features_in_ = n_features
    return n_classes


def hist_boosting_arrays(model: HistGradientBoostingClassifier) -> Mapping[str, Array]:
    """Return the nodes of all trees, round by round, and the starting scores."""
    trees = [predictor.nodes for round_ in model._predictors for predictor in round_]
    nodes = np.concatenate(trees)
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "sizes": np.array([len(t) for t in trees], "<i8"),
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)).astype("<i8"),
        "right": np.where(leaf, -1, nodes["right"].astype(np.int64)).astype("<i8"),
        "feature": np.where(leaf, 0, nodes["feature_idx"]).astype("<i8"),
        "threshold": np.where(leaf, 0.0, nodes["num_threshold"]).astype("<f8"),
        "value": nodes["value"].astype("<f8"),
        "samples": nodes["count"].astype("<i8"),
        "missing_left": nodes["missing_go_to_left"].astype("|u1"),
        "start": np.asarray(model._baseline_prediction, "<f8").reshape(-1),
    }


def restore_hist_boosting(
    model: HistGradientBoostingClassifier, arrays: ArrayReader, n_features: int, n_classes: int
) -> int:
    """Fill a :class:`HistGradientBoostingClassifier` with nodes that were checked; no column is categorical."""
    per_round = 1 if n_classes == 2 else n_classes
    forest = read_forest(arrays, n_trees=int(model.max_iter) * per_round, n_features=n_features)
    total = int(forest.sizes.sum())
    nodes = np.zeros(total, dtype=PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"] = forest.leaf
    nodes["left"], nodes["right"] = np.maximum(forest.left, 0), np.maximum(forest.right, 0)
    nodes["feature_idx"] = forest.feature
    nodes["num_threshold"] = arrays.floats("threshold", (total,))
    nodes["value"] = arrays.floats("value", (total,))
    nodes["count"] = arrays.ints("samples", (total,), low=0, high=2**32 - 1)
    nodes["missing_go_to_left"] = arrays.flags("missing_left", (total,))
    no_categories = np.zeros((0, 8), dtype=np.uint32)
    trees = [TreePredictor(nodes[part].copy(), no_categories, no_categories) for part in forest.parts()]
    model._predictors = [trees[i : i + per_round] for i in range(0, len(trees), per_round)]
    model._baseline_prediction = arrays.floats("start", (per_round,)).reshape(1, -1)
    model.n_trees_per_iteration_ = per_round
    model._loss = model._get_loss(sample_weight=None)
    model._bin_mapper = _BinMapper()
    model._bin_mapper.is_categorical_ = np.zeros(n_features, dtype=np.uint8)
    model._bin_mapper.bin_thresholds_ = []
    model._preprocessor = None
    model.is_categorical_ = None
    model._n_features = n_features
    model.n_features_in_ = n_features
    model.classes_ = np.arange(n_classes)
    return n_classes
