"""Codecs of soft voting, stacking and the cascade: those of their members, under a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Bunch

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.codec import Codec
from radiocard.models.estimators import Cascade


@dataclass(frozen=True)
class EnsembleCodecs:
    """Codecs of ensembles over a list of member codecs.

    Parameters
    ----------
    members : mapping of type to Codec
        Codecs of single classifiers.
    """

    members: Mapping[type, Codec]

    def voting_arrays(self, model: VotingClassifier) -> Mapping[str, Array]:
        """Return the arrays of all members."""
        return {k: v for i, m in enumerate(model.estimators_) for k, v in self._arrays(m, f"m{i}_").items()}

    def restore_voting(self, model: VotingClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
        """Fill a :class:`VotingClassifier`."""
        model.estimators_ = self._restore_all(model, arrays, n_features, n_classes)
        model.named_estimators_ = Bunch(**dict(zip(_names(model), model.estimators_, strict=True)))
        model.le_ = _encoder(n_classes)
        model.classes_ = model.le_.classes_
        return n_classes

    def stacking_arrays(self, model: StackingClassifier) -> Mapping[str, Array]:
        """Return the arrays of all members and of the final classifier."""
        return {**self.voting_arrays(model), **self._arrays(model.final_estimator_, "final_")}

    def restore_stacking(self, model: StackingClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
        """Fill a :class:`StackingClassifier`; of two classes, each member hands on one probability."""
        model.estimators_ = self._restore_all(model, arrays, n_features, n_classes)
        model.named_estimators_ = Bunch(**dict(zip(_names(model), model.estimators_, strict=True)))
        model.stack_method_ = ["predict_proba"] * len(model.estimators_)
        model._label_encoder = _encoder(n_classes)
        model.classes_ = model._label_encoder.classes_
        handed_on = len(model.estimators_) * (1 if n_classes == 2 else n_classes)
        model.final_estimator_ = self._restore(model.final_estimator, arrays, "final_", handed_on, n_classes)
        return n_classes

    def cascade_arrays(self, model: Cascade) -> Mapping[str, Array]:
        """Return the arrays of both stages."""
        return {**self._arrays(model.first_, "first_"), **self._arrays(model.second_, "second_")}

    def restore_cascade(self, model: Cascade, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
        """Fill a :class:`Cascade`; which class comes first is a setting, and there are at least three."""
        model.first_ = self._restore(model.first, arrays, "first_", n_features, 2)
        model.second_ = self._restore(model.second, arrays, "second_", n_features, n_classes - 1)
        model.normal_ = int(model.normal)
        model.classes_ = np.arange(n_classes)
        model.n_features_in_ = n_features
        return n_classes

    def _arrays(self, member: Any, prefix: str) -> dict[str, Array]:
        return {f"{prefix}{name}": array for name, array in self.members[type(member)].arrays(member).items()}

    def _restore_all(self, model: Any, arrays: ArrayReader, n_features: int, n_classes: int) -> list[Any]:
        members = [member for _, member in model.estimators]
        return [self._restore(m, arrays, f"m{i}_", n_features, n_classes) for i, m in enumerate(members)]

    def _restore(self, member: Any, arrays: ArrayReader, prefix: str, n_features: int, n_classes: int) -> Any:
        filled = clone(member)
        part = arrays.part(prefix)
        self.members[type(filled)].restore(filled, part, n_features, n_classes)
        part.finish()
        return filled


def _names(model: Any) -> list[str]:
    return [name for name, _ in model.estimators]


def _encoder(n_classes: int) -> LabelEncoder:
    encoder = LabelEncoder()
    encoder.classes_ = np.arange(n_classes)
    return encoder
