"""Codec of XGBoost: tree arrays, from which the booster's own JSON is written anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from xgboost import XGBClassifier
from xgboost.core import XGBoostError

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.trees import Forest, read_forest

# What the booster's JSON calls our arrays, and how we store them.
_NODES: tuple[tuple[str, str, str], ...] = (
    ("left", "left_children", "<i8"),
    ("right", "right_children", "<i8"),
    ("feature", "split_indices", "<i8"),
    ("missing_left", "default_left", "|u1"),
    ("condition", "split_conditions", "<f4"),
    ("weight", "base_weights", "<f4"),
    ("gain", "loss_changes", "<f4"),
    ("hessian", "sum_hessian", "<f4"),
)
JSON_VERSION = (3, 2, 0)
ROOT_PARENT = 2**31 - 1
LARGEST_F4 = 1e30


def boosting_arrays(model: XGBClassifier) -> Mapping[str, Array]:
    """Return the nodes of all trees as flat arrays, and the starting scores."""
    learner = json.loads(bytes(model.get_booster().save_raw(raw_format="json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    arrays = {
        name: np.concatenate([np.asarray(tree[key], dtype=np.float64) for tree in trees]).astype(dtype)
        for name, key, dtype in _NODES
    }
    arrays["sizes"] = np.array([len(tree["left_children"]) for tree in trees], dtype="<i8")
    arrays["start"] = np.asarray(json.loads(learner["learner_model_param"]["base_score"]), dtype="<f4").reshape(-1)
    return arrays


def restore_boosting(model: XGBClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill an :class:`xgboost.XGBClassifier` with trees whose nodes were checked.

    The JSON that XGBoost parses is written from the checked arrays, never taken from the
    file; what the booster then holds is compared with them.
    """
    per_round = 1 if n_classes == 2 else n_classes
    forest = read_forest(arrays, n_trees=int(model.get_params()["n_estimators"]) * per_round, n_features=n_features)
    total = int(forest.sizes.sum())
    real = {
        name: arrays.floats(name, (total,), low=-LARGEST_F4, high=LARGEST_F4, dtype="<f4")
        for name in ("condition", "weight", "gain")
    }
    real["hessian"] = arrays.floats("hessian", (total,), low=0.0, high=LARGEST_F4, dtype="<f4")
    missing = arrays.flags("missing_left", (total,))
    low, high = (1e-6, 1 - 1e-6) if n_classes == 2 else (-LARGEST_F4, LARGEST_F4)
    start = arrays.floats("start", (per_round,), low=low, high=high, dtype="<f4")
    document = _document(forest, real, missing, start, n_features, n_classes)
    try:
        model.load_model(bytearray(json.dumps(document).encode()))
    except XGBoostError as error:
        arrays.refuse(f"XGBoost refuses the trees ({str(error).splitlines()[0][:80]})")
    kept = boosting_arrays(model)
    same = all(np.array_equal(kept[name], real[name]) for name in real) and np.array_equal(kept["start"], start)
    if not same:
        arrays.refuse("XGBoost holds other numbers than the file")
    return n_classes


def _document(
    forest: Forest, real: Mapping[str, Array], missing: Array, start: Array, n_features: int, n_classes: int
) -> dict[str, Any]:
    per_round = len(start)
    trees = [_tree_document(i, forest, part, real, missing, n_features) for i, part in enumerate(forest.parts())]
    rounds = len(trees) // per_round
    if n_classes == 2:
        objective: dict[str, Any] = {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}}
    else:
        objective = {"name": "multi:softprob", "softmax_multiclass_param": {"num_class": str(n_classes)}}
    model = {
        "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": [per_round * i for i in range(rounds + 1)],
        "tree_info": [i % per_round for i in range(len(trees))],
        "trees": trees,
    }
    parameters = {
        "base_score": json.dumps([float(v) for v in start]),
        "boost_from_average": "1",
        "num_class": "0" if n_classes == 2 else str(n_classes),
        "num_feature": str(n_features),
        "num_target": "1",
    }
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": parameters,
        "objective": objective,
    }
    return {"learner": learner, "version": list(JSON_VERSION)}


def _tree_document(
    number: int, forest: Forest, part: slice, real: Mapping[str, Array], missing: Array, n_features: int
) -> dict[str, Any]:
    n = part.stop - part.start
    parent = forest.parent[part]
    return {
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "id": number,
        "left_children": forest.left[part].tolist(),
        "right_children": forest.right[part].tolist(),
        "parents": np.where(parent < 0, ROOT_PARENT, parent).tolist(),
        "split_indices": forest.feature[part].tolist(),
        "split_type": [0] * n,
        "default_left": missing[part].astype(int).tolist(),
        **{key: real[name][part].tolist() for name, key, _ in _NODES if name in real},
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(n_features),
            "num_nodes": str(n),
            "size_leaf_vector": "1",
        },
    }
