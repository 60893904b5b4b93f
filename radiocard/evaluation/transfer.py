"""How a recipe travels: each site left out in turn, and every training site against every test site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import CohortError, RadiocardError
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.metrics import Predictions, from_probabilities
from radiocard.evaluation.nested import check_apart
from radiocard.evaluation.scores import score
from radiocard.models.selection import check_class_counts, grouped_splits
from radiocard.models.travel import ADAPTATIONS, TRANSDUCTIVE, Adaptation, TravellingModel, fit_travelling
from radiocard.specs import EvaluationPlan, ModelRecipe

FloatArray = NDArray[np.floating[Any]]
Texts = NDArray[np.str_]
Progress = Callable[[int, int], None]

SHOWN = ("balanced_accuracy", "macro_auc", "ece", "calibration_slope", "brier")
OTHERS = "all other sites"
MOST_NORMALS = 20


@dataclass(frozen=True, eq=False)
class SiteCohort:
    """Patients of several sites.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        NaN where undefined.
    y, groups, sites : ndarray of str, shape (n,)
        Classes; groups that are never parted; sites.
    """

    X: pd.DataFrame
    y: Texts
    groups: Texts
    sites: Texts

    def __post_init__(self) -> None:
        if any(v.shape != (len(self.X),) for v in (self.y, self.groups, self.sites)):
            msg = f"There are {len(self.X)} patients; expected as many classes, groups and sites."
            raise CohortError(msg)

    def rows(self, where: NDArray[Any]) -> SiteCohort:
        """Take some patients, by numbers or by a mask."""
        return SiteCohort(self.X.iloc[where], self.y[where], self.groups[where], self.sites[where])

    @property
    def names(self) -> tuple[str, ...]:
        """The sites, sorted."""
        return tuple(np.unique(self.sites).tolist())


@dataclass(frozen=True, eq=False)
class Journey:
    """One model at one test site.

    Parameters
    ----------
    train, test : str
        Sites; ``all other sites`` where each is left out in turn.
    adaptation : str
        Key of :data:`radiocard.models.travel.ADAPTATIONS`.
    n_train, n_test : int
        Patients; reference normals are not among those tested.
    metrics : dict of str to Estimate
        Of :data:`SHOWN`; empty where it could not be done.
    notes : tuple of str
        What a reader must know, and why it could not be done.
    predictions : Predictions or None
        Of the test patients.
    """

    train: str
    test: str
    adaptation: Adaptation
    n_train: int
    n_test: int
    metrics: dict[str, Estimate]
    notes: tuple[str, ...]
    predictions: Predictions | None

    @property
    def transductive(self) -> bool:
        """Whether the answer about one patient depends on other patients of the test site."""
        return self.adaptation in TRANSDUCTIVE

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "train": self.train,
            "test": self.test,
            "adaptation": self.adaptation,
            "adaptation_text": ADAPTATIONS[self.adaptation],
            "transductive": self.transductive,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "metrics": {k: e.to_dict() for k, e in self.metrics.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Settings:
    """What every journey of a study shares.

    Parameters
    ----------
    recipe : ModelRecipe
        Without a calibration of its own.
    plan : EvaluationPlan
        Outer folds (for training and test at one site), inner folds, bootstrap, seed.
    normal : str or None
        Label of the healthy; needed by ``combat_normals``.
    """

    recipe: ModelRecipe
    plan: EvaluationPlan
    normal: str | None = None


def leave_one_site_out(
    cohort: SiteCohort, settings: Settings, *, adaptation: Adaptation, progress: Progress | None = None
) -> list[Journey]:
    """Train at all sites but one, and test there, for each site in turn.

    Patients of the training sites who share a group with a patient of the test site are left out.

    Returns
    -------
    list of Journey
        One per site. Where a site cannot be done (too few patients of a class elsewhere, site and class not
        separable), its journey says why and has no metric.

    Raises
    ------
    CohortError
        If there are fewer than two sites.
    """
    _need_sites(cohort, 2)
    out = []
    for test in cohort.names:
        out.append(_journey(cohort, cohort.sites != test, test, OTHERS, settings, adaptation))
        if progress is not None:
            progress(len(out), len(cohort.names))
    return out


def site_matrix(
    cohort: SiteCohort, settings: Settings, *, adaptation: Adaptation, progress: Progress | None = None
) -> list[Journey]:
    """Train at each site alone and test at each; the diagonal by grouped cross-validation inside the site.

    Returns
    -------
    list of Journey
        Row by row (training site).

    Raises
    ------
    CohortError
        If there are fewer than two sites.
    """
    _need_sites(cohort, 2)
    out: list[Journey] = []
    total = len(cohort.names) ** 2
    for train in cohort.names:
        for test in cohort.names:
            if train == test:
                out.append(_at_home(cohort.rows(cohort.sites == train), train, settings, adaptation))
            else:
                out.append(_journey(cohort, cohort.sites == train, test, train, settings, adaptation))
            if progress is not None:
                progress(len(out), total)
    return out


def mix_sensitivity(
    cohort: SiteCohort, settings: Settings, *, adaptation: Adaptation, test: str, share: float = 0.7, draws: int = 10
) -> dict[str, float]:
    """Show how the answers at a site move with the class mix of the patients that describe it.

    The model is trained at all other sites. The patients that describe the test site are drawn from it with
    replacement, as many as there are, with ``share`` of one class and the rest in equal parts; the patients who
    are scored are always all of the site. Labels are used here only to make the mixes.

    Parameters
    ----------
    cohort : SiteCohort
    settings : Settings
    adaptation : {'combat_unlabelled', 'site_scaling'}
    test : str
        The site.
    share : float
        Share of the class that prevails.
    draws : int
        Drawings per mix.

    Returns
    -------
    dict of str to float
        Mean balanced accuracy by mix: ``even``, and the name of each prevailing class.
    """
    away, home = cohort.rows(cohort.sites != test), cohort.rows(cohort.sites == test)
    model = _fit(away, settings, adaptation)
    rng = np.random.default_rng(settings.plan.random_state)
    present = np.unique(home.y)
    out = {}
    for prevailing in ("even", *present.tolist()):
        weight = dict.fromkeys(present.tolist(), 1.0 / present.size)
        if prevailing != "even":
            weight = dict.fromkeys(weight, (1 - share) / (present.size - 1)) | {prevailing: share}
        p = np.array([weight[c] / (home.y == c).sum() for c in home.y.tolist()])
        found = []
        for _ in range(draws):
            chosen = rng.choice(home.y.size, size=home.y.size, p=p / p.sum())
            there = model.at_site(home.X.iloc[chosen], site=test)
            named = np.asarray(model.classes)[there.predict_proba(home.X, site=test).argmax(axis=1)]
            found.append(np.mean([(named[home.y == c] == c).mean() for c in present]))
        out[prevailing] = float(np.mean(found))
    return out


def _need_sites(cohort: SiteCohort, least: int) -> None:
    if len(cohort.names) < least:
        msg = f"Found {len(cohort.names)} site(s) ({', '.join(cohort.names)}), expected at least {least}."
        raise CohortError(msg, field="site", hint="Give each patient a site in the manifest.")


def _journey(
    cohort: SiteCohort, training: NDArray[np.bool_], test: str, name: str, settings: Settings, adaptation: Adaptation
) -> Journey:
    here = cohort.sites == test
    shared = training & np.isin(cohort.groups, cohort.groups[here])
    notes = [f"{shared.sum()} training patients share images with the test site; left out."] if shared.any() else []
    away, home = cohort.rows(training & ~shared), cohort.rows(here)
    check_apart(cohort.groups, np.flatnonzero(training & ~shared), np.flatnonzero(here))
    n_train = len(away.X)
    try:
        model = _fit(away, settings, adaptation)
        described, scored = _references(home, settings, adaptation)
        if adaptation != "none":
            model = model.at_site(home.X.iloc[described], site=test)
    except RadiocardError as error:
        return Journey(name, test, adaptation, n_train, len(home.X), {}, (*notes, error.issue.message), None)
    home = home.rows(scored)
    p = _all_classes(model.predict_proba(home.X, site=test), model, cohort)
    notes += model.notes
    return _scored(name, test, adaptation, n_train, p, home, cohort, settings, notes)


def _at_home(home: SiteCohort, site: str, settings: Settings, adaptation: Adaptation) -> Journey:
    """Cross-validate inside one site; with one site no adaptation changes a thing but the scale."""
    plan = settings.plan
    classes = np.unique(home.y)
    codes = np.searchsorted(classes, home.y)
    p = np.zeros((len(home.X), classes.size))
    notes: tuple[str, ...] = ()
    try:
        check_class_counts(home.y, home.groups, folds=plan.outer_folds)
        for train, test in grouped_splits(codes, home.groups, folds=plan.outer_folds, random_state=plan.random_state):
            check_apart(home.groups, train, test)
            model = _fit(home.rows(train), settings, adaptation)
            p[test] = model.predict_proba(home.X.iloc[test], site=site)
            notes = model.notes
    except RadiocardError as error:
        return Journey(site, site, adaptation, len(home.X), len(home.X), {}, (error.issue.message,), None)
    inside = f"{plan.outer_folds}-fold grouped cross-validation inside the site"
    return _scored(site, site, adaptation, len(home.X), p, home, home, settings, [inside, *notes])


def _fit(away: SiteCohort, settings: Settings, adaptation: Adaptation) -> TravellingModel:
    return fit_travelling(
        away.X,
        away.y,
        away.groups,
        away.sites,
        recipe=settings.recipe,
        adaptation=adaptation,
        inner_folds=settings.plan.inner_folds,
        random_state=settings.plan.random_state,
        normal=settings.normal if adaptation == "combat_normals" else None,
    )


def _references(
    home: SiteCohort, settings: Settings, adaptation: Adaptation
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return who describes the site and who is scored; normals that describe it are not scored."""
    everybody = np.arange(len(home.X))
    if adaptation != "combat_normals":
        return everybody, everybody
    names = np.unique(home.groups[home.y == settings.normal])
    rng = np.random.default_rng(settings.plan.random_state)
    taken = rng.permutation(names)[: min(MOST_NORMALS, names.size // 2)]
    chosen = np.isin(home.groups, taken)
    return np.flatnonzero(chosen & (home.y == settings.normal)), np.flatnonzero(~chosen)


def _all_classes(p: FloatArray, model: TravellingModel, cohort: SiteCohort) -> FloatArray:
    """Give probability 0 to classes that the training sites do not have."""
    classes = np.unique(cohort.y)
    out = np.zeros((len(p), classes.size))
    out[:, np.searchsorted(classes, model.classes)] = p
    return out


def _scored(
    train: str,
    test: str,
    adaptation: Adaptation,
    n_train: int,
    p: FloatArray,
    home: SiteCohort,
    cohort: SiteCohort,
    settings: Settings,
    notes: list[str],
) -> Journey:
    classes = tuple(np.unique(cohort.y).tolist())
    predictions = from_probabilities(p, home.y, classes=classes, groups=home.groups)
    found = score("model", settings.recipe.title, predictions, plan=settings.plan)
    metrics = {k: found.metrics[k] for k in SHOWN if k in found.metrics}
    absent = [n for n in found.notes if n.startswith("No patient of")]
    return Journey(train, test, adaptation, n_train, len(home.X), metrics, (*notes, *absent), predictions)
