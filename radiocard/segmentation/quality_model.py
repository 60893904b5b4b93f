"""An estimate of mask quality that was fitted to masks whose Dice is known; stored as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from radiocard.errors import ModelError, UsageError
from radiocard.io.atomic import write_json
from radiocard.segmentation.quality_features import JUDGED_NAMES as NAMES
from radiocard.specs.base import Count, Frozen

Float = NDArray[np.float64]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Numbers = tuple[Number, ...]

SCHEMA = "radiocard/mask-quality/2"
MAX_BYTES = 64 * 1024
FOLDS = 5
FEWEST_POOR = 10
_PENALTY_C = 0.3
_CLIP = 0.005  # of a Dice, before its log-odds are taken


class QualityTraining(Frozen):
    """What a quality model was fitted to.

    ``auroc`` is that of out-of-fold scores, by models that learned neither from the patient nor from images made
    worse in the same way; the two rates are the share of good masks whose out-of-fold score lies above each limit.
    """

    n_masks: Count
    n_patients: Count
    n_poor: Count
    dice_limit: Rate
    warn_false_alarms: Rate
    ask_false_alarms: Rate
    auroc: Annotated[float, Field(ge=0, le=1)]
    random_state: Annotated[int, Field(ge=0)]


class QualityModel(Frozen):
    """A logistic regression on the log-odds of quality features, and the limits that decide.

    The features, ``JUDGED_NAMES``, lie between 0 and 1; ``median``, ``mean`` and ``scale`` hold for their log-odds. The
    risk is the estimated chance that the worst region of a mask has a Dice below
    ``training.dice_limit``. ``usual`` holds the median of each feature itself over good masks; None where none
    of them has it.
    """

    schema_: Literal["radiocard/mask-quality/2"] = Field(alias="schema", default="radiocard/mask-quality/2")
    features: tuple[str, ...]
    median: Numbers
    mean: Numbers
    scale: tuple[Annotated[float, Field(gt=0, le=1e6)], ...]
    coefficient: Numbers
    intercept: Number
    usual: tuple[Number | None, ...]
    warn_above: Rate
    ask_above: Rate
    training: QualityTraining

    @model_validator(mode="after")
    def _fits_together(self) -> QualityModel:
        if self.features != NAMES:
            msg = f"'features' are not the {len(NAMES)} that this version computes"
            raise ValueError(msg)
        for name in ("median", "mean", "scale", "coefficient", "usual"):
            if len(getattr(self, name)) != len(NAMES):
                msg = f"{name!r} holds {len(getattr(self, name))} numbers, expected {len(NAMES)}"
                raise ValueError(msg)
        if self.warn_above > self.ask_above:
            msg = f"'warn_above' is {self.warn_above}, expected at most 'ask_above' ({self.ask_above})"
            raise ValueError(msg)
        return self

    def lacks(self, features: Mapping[str, float | None]) -> tuple[str, ...]:
        """Return what a mask does not say of the networks' doubt although masks of the training did."""
        doubts = (name for name, usual in zip(NAMES, self.usual, strict=True) if usual is not None)
        return tuple(name for name in doubts if name.endswith("_dice") and features[name] is None)

    def contributions(self, features: Mapping[str, float | None]) -> dict[str, float]:
        """Return what each feature adds to the log-odds, relative to the mean mask of the training."""
        values = _log_odds(_matrix([features]))[0]
        filled = np.where(np.isnan(values), self.median, values)
        parts = (filled - np.array(self.mean)) / np.array(self.scale) * np.array(self.coefficient)
        return dict(zip(NAMES, parts.tolist(), strict=True))

    def risk(self, features: Mapping[str, float | None]) -> float:
        """Return the estimated chance that the mask is poor, from 0 to 1.

        Parameters
        ----------
        features : mapping of str to float or None
            As :func:`radiocard.segmentation.quality_features.quality_features`.
        """
        score = self.intercept + sum(self.contributions(features).values())
        return 1 / (1 + math.exp(-min(max(score, -500.0), 500.0)))


def fit_quality(
    features: Sequence[Mapping[str, float | None]],
    worst_dice: Sequence[float],
    patients: Sequence[str],
    *,
    dice_limit: float,
    warn_false_alarms: float,
    ask_false_alarms: float,
    random_state: int,
    kinds: Sequence[str] | None = None,
) -> QualityModel:
    """Fit a quality model to masks whose agreement with a reader is known.

    Parameters
    ----------
    features : sequence of mapping
        Quality features of each mask; the network must not have been trained on its patient.
    worst_dice : sequence of float
        Least three-dimensional Dice over the regions of each mask.
    patients : sequence of str
        Whose mask it is; all masks of a patient stay in one fold.
    dice_limit : float
        A mask is poor below it.
    warn_false_alarms, ask_false_alarms : float
        Largest share of good masks that may be warned of, and that a human may be asked about.
    random_state : int
        Of the folds.
    kinds : sequence of str, optional
        How the image of each mask was made worse. The limits then come from scores of masks of a kind, as of a
        patient, that was left out: a new kind of image shall not raise more false alarms.

    Returns
    -------
    QualityModel

    Raises
    ------
    UsageError
        If the lengths differ, a Dice is not a number from 0 to 1, there are fewer than 10 poor masks,
        too few good ones for the rates, fewer than 5 patients with either, or without one kind of image no good or
        no poor masks are left.
    """
    X, poor, groups = _checked(features, worst_dice, patients, dice_limit)
    alarms = {"warn": warn_false_alarms, "ask": ask_false_alarms}
    if not 0 < alarms["ask"] <= alarms["warn"] < 1:
        msg = f"False alarm rates are {alarms['warn']} (warn) and {alarms['ask']} (ask), expected 0 < ask <= warn < 1."
        raise UsageError(msg)
    names = np.asarray(kinds if kinds is not None else [""] * len(poor), dtype=np.str_)
    if len(names) != len(poor):
        msg = f"There are {len(poor)} masks and {len(names)} kinds of image."
        raise UsageError(msg)
    scores = _left_out_scores(X, poor, groups, names, random_state)
    limits = {name: _limit(scores[~poor], rate) for name, rate in alarms.items()}
    whole = _estimator().fit(X, poor)
    imputer, scaler, logistic = (step for _, step in whole.steps)
    training = QualityTraining(
        n_masks=len(poor),
        n_patients=len(np.unique(groups)),
        n_poor=int(poor.sum()),
        dice_limit=dice_limit,
        warn_false_alarms=warn_false_alarms,
        ask_false_alarms=ask_false_alarms,
        auroc=float(roc_auc_score(poor, scores)),
        random_state=random_state,
    )
    return QualityModel(
        features=NAMES,
        median=tuple(imputer.statistics_.tolist()),
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        coefficient=tuple(logistic.coef_[0].tolist()),
        intercept=float(logistic.intercept_[0]),
        usual=_medians(_matrix(features)[~poor]),
        warn_above=limits["warn"],
        ask_above=limits["ask"],
        training=training,
    )


def write_quality(model: QualityModel, path: str | Path) -> None:
    """Write a quality model as JSON; the same model gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_json(model.model_dump(mode="json", by_alias=True), path)


def read_quality(path: str | Path) -> QualityModel:
    """Read a quality model; nothing in the file can be executed, and every number has bounds.

    Raises
    ------
    ModelError
        If the file cannot be read, is larger than 64 KiB, or does not hold a quality model.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        msg = f"The quality model {path.name!r} cannot be read: {error.strerror or type(error).__name__}."
        raise ModelError(msg) from None
    if len(data) > MAX_BYTES:
        msg = f"The quality model {path.name!r} is larger than {MAX_BYTES} bytes."
        raise ModelError(msg)
    try:
        return QualityModel.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        msg = f"{path.name!r} is not a quality model of this version: {place}: {first['msg']}."
        raise ModelError(msg, hint="Fit it again with this version.") from None


def _left_out_scores(
    X: Float, poor: NDArray[np.bool_], groups: NDArray[np.str_], kinds: NDArray[np.str_], random_state: int
) -> Float:
    """Score each mask by a model of other patients and, where there are several kinds of image, of other kinds."""
    several = len(np.unique(kinds)) > 1
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=random_state)
    scores = np.zeros(len(poor))
    for train, test in folds.split(X, poor, groups):
        for kind in np.unique(kinds[test]):
            others = train[kinds[train] != kind] if several else train
            if len(np.unique(poor[others])) < 2:
                msg = f"Without the images of kind {str(kind)!r}, no good or no poor masks are left to learn from."
                raise UsageError(msg, hint="Without a fitted model a rule decides.")
            asked = test[kinds[test] == kind]
            scores[asked] = _estimator().fit(X[others], poor[others]).predict_proba(X[asked])[:, 1]
    return scores


def _estimator() -> Pipeline:
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler(), LogisticRegression(C=_PENALTY_C, max_iter=2000))


def _checked(
    features: Sequence[Mapping[str, float | None]],
    worst_dice: Sequence[float],
    patients: Sequence[str],
    dice_limit: float,
) -> tuple[Float, NDArray[np.bool_], NDArray[np.str_]]:
    dice = np.asarray(worst_dice, dtype=float)
    if not len(features) == dice.size == len(patients):
        msg = f"There are features of {len(features)} masks, {dice.size} Dice and {len(patients)} patients."
        raise UsageError(msg)
    if not ((dice >= 0) & (dice <= 1)).all():
        msg = "A Dice is not a number from 0 to 1; leave out masks whose reference is empty."
        raise UsageError(msg)
    poor, groups = dice < dice_limit, np.asarray(patients, dtype=np.str_)
    counts = [np.unique(groups[which]).size for which in (poor, ~poor)]
    if poor.sum() < FEWEST_POOR or min(counts) < FOLDS:
        msg = (
            f"{int(poor.sum())} of {dice.size} masks are poor (Dice below {dice_limit:g}), of {counts[0]} patients; "
            f"good masks are of {counts[1]}. Expected {FEWEST_POOR} poor masks, and {FOLDS} patients with either."
        )
        raise UsageError(msg, hint="Without a fitted model a rule decides.")
    return _log_odds(_matrix(features)), poor, groups


def _matrix(features: Sequence[Mapping[str, float | None]]) -> Float:
    rows = [[math.nan if (v := row[name]) is None else float(v) for name in NAMES] for row in features]
    return np.array(rows, dtype=float)


def _log_odds(values: Float) -> Float:
    inner = np.clip(values, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(inner / (1 - inner)), dtype=np.float64)


def _limit(good: Float, rate: float) -> float:
    """Return the score that a new good mask exceeds with at most this chance (a rank, as in conformal prediction)."""
    rank = math.ceil((good.size + 1) * (1 - rate))
    if rank > good.size:
        needed = math.ceil(1 / rate) - 1
        msg = f"{good.size} good masks are too few for a false alarm rate of {rate:g}; expected {needed}."
        raise UsageError(msg)
    return float(np.clip(np.sort(good)[rank - 1], 1e-12, 1 - 1e-12))


def _medians(good: Float) -> tuple[float | None, ...]:
    return tuple(float(np.nanmedian(c)) if np.isfinite(c).any() else None for c in good.T)
