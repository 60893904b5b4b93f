"""How well the simulated groups can be told apart at best: the Bayes-optimal accuracy of the generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from radiocard.errors import UsageError
from radiocard.simulate.classes import (
    CLASSES,
    LATENTS,
    MODELS,
    SEXES,
    Float,
    age_log_density,
    age_quantile,
    to_natural,
    to_transformed,
)


@dataclass(frozen=True)
class BayesAccuracy:
    """Bayes-optimal accuracy with its Monte Carlo standard error.

    Parameters
    ----------
    value : float
        Mean of the largest posterior probability over patients drawn from the five groups in equal parts.
    standard_error : float
        Standard error of ``value``.
    per_class : dict of str to float
        Share of each group that the optimal rule names correctly.
    n : int
        Patients drawn.
    """

    value: float
    standard_error: float
    per_class: dict[str, float]
    n: int


def log_posteriors(male: NDArray[np.bool_], age_y: Float, latents: Float) -> Float:
    """Compute the true log posterior of every group, at equal prior probabilities.

    Parameters
    ----------
    male : ndarray of bool, shape (n,)
        Sex.
    age_y : ndarray of float, shape (n,)
        Age [year].
    latents : ndarray of float, shape (n, 8)
        Latents in natural units, in the order of :data:`radiocard.simulate.classes.LATENTS`.

    Returns
    -------
    ndarray of float, shape (n, 5)
        In the order of :data:`radiocard.simulate.classes.CLASSES`. The Jacobian of the transform
        is the same for every group and cancels.
    """
    z = to_transformed(latents)
    log_p = np.column_stack([_log_density(name, male, age_y, z) for name in CLASSES])
    return log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)


def bayes_accuracy(*, n: int = 50_000, seed: int = 0) -> BayesAccuracy:
    """Estimate the best accuracy that any classifier can reach on this generator.

    Patients are drawn from the groups in equal parts, and their true posteriors evaluated on sex,
    age and all latents. Measurements and images are functions of these and of draws that do not
    depend on the group, so no feature can do better in expectation.

    Parameters
    ----------
    n : int
        Patients drawn; rounded down to a multiple of five.
    seed : int
        Seed of the draws.

    Returns
    -------
    BayesAccuracy

    Raises
    ------
    UsageError
        If ``n`` is below 100.
    """
    if n < 100:
        msg = f"n is {n}, expected at least 100."
        raise UsageError(msg, field="n")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    size = n // len(CLASSES)
    best, per_class = [], {}
    for index, name in enumerate(CLASSES):
        log_p = log_posteriors(*_draw(name, size, rng))
        best.append(np.exp(log_p.max(axis=1)))
        per_class[name] = float(np.mean(log_p.argmax(axis=1) == index))
    top = np.concatenate(best)
    error = np.sqrt(sum(b.var(ddof=1) for b in best) / size) / len(CLASSES)
    return BayesAccuracy(float(top.mean()), float(error), per_class, top.size)


def _draw(name: str, size: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Float, Float]:
    model = MODELS[name]
    male = rng.random(size) < model.men
    age = age_quantile(model, rng.random(size))
    z = rng.standard_normal((size, len(LATENTS)))
    for sex in SEXES:
        rows = male == (sex == "M")
        mean, cov = model.normal(sex)
        z[rows] = mean + z[rows] @ np.linalg.cholesky(cov).T
    return male, age, to_natural(z)


def _log_density(name: str, male: NDArray[np.bool_], age_y: Float, z: Float) -> Float:
    model = MODELS[name]
    out = np.log(np.where(male, model.men, 1 - model.men)) + age_log_density(model, age_y)
    for sex in SEXES:
        rows = male == (sex == "M")
        mean, cov = model.normal(sex)
        lower = np.linalg.cholesky(cov)
        white = solve_triangular(lower, (z[rows] - mean).T, lower=True)
        out[rows] -= 0.5 * (white**2).sum(axis=0) + np.log(np.diag(lower)).sum()
    return out
