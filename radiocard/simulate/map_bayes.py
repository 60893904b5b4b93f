"""How well the groups of a simulated map cohort can be told apart at best, by chosen measurements."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from radiocard.errors import UsageError
from radiocard.image import FloatArray
from radiocard.simulate.bayes import BayesAccuracy
from radiocard.simulate.map_classes import GLOBAL_LATENTS, LATENTS, TASKS, Float, MapTask, correlation


def map_bayes_accuracy(
    task: MapTask, *, latents: tuple[str, ...] = GLOBAL_LATENTS, n: int = 50_000, seed: int = 0
) -> BayesAccuracy:
    """Estimate the best accuracy of any classifier that knows some latents of a patient exactly.

    Latents are jointly normal within a group, so any selection of them is, and its true posterior is known.
    Volume and mass indices count after division by the factor of the sex, and T1 after subtraction of the
    scanner's offset; both are known to whoever reads the clinical table.

    Parameters
    ----------
    task : {'t1-amyloid', 'dcm', 'myocarditis', 'hhd-hcm'}
        Which cohort.
    latents : tuple of str
        Names out of :data:`radiocard.simulate.map_classes.LATENTS`; by default global T1, ECV and geometry. The
        place of the focal pattern is not among them and tells more.
    n : int
        Patients drawn, in equal parts from the groups.
    seed : int
        Seed of the draws.

    Returns
    -------
    BayesAccuracy

    Raises
    ------
    UsageError
        If the task or a latent is unknown, or ``n`` below 100.
    """
    _check(task, latents, n)
    models, size = TASKS[task], n // len(TASKS[task])
    columns = [LATENTS.index(name) for name in latents]
    lower = np.linalg.cholesky(correlation(tuple(latents)))
    full = {name: model.normal() for name, model in models.items()}
    moments = {name: (mean[columns], sd[columns]) for name, (mean, sd) in full.items()}
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
    best, per_class = [], {}
    for index, (name, (mean, sd)) in enumerate(moments.items()):
        z = mean + sd * (rng.standard_normal((size, len(columns))) @ lower.T)
        log_p = np.column_stack([_log_density(z, m, s, lower) for m, s in moments.values()])
        log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
        best.append(np.exp(log_p.max(axis=1)))
        per_class[name] = float(np.mean(log_p.argmax(axis=1) == index))
    top = np.concatenate(best)
    error = np.sqrt(sum(b.var(ddof=1) for b in best) / size) / len(models)
    return BayesAccuracy(float(top.mean()), float(error), per_class, top.size)


def _log_density(z: FloatArray, mean: Float, sd: Float, lower: FloatArray) -> Float:
    white = solve_triangular(lower, ((z - mean) / sd).T, lower=True)
    return -0.5 * (white**2).sum(axis=0) - np.log(sd).sum()


def _check(task: str, latents: tuple[str, ...], n: int) -> None:
    if task not in TASKS:
        msg = f"Task is {task!r}, expected one of {', '.join(TASKS)}."
        raise UsageError(msg, field="task")
    unknown = [name for name in latents if name not in LATENTS]
    if unknown or not latents:
        msg = f"Latents {', '.join(unknown) or '(none)'}: expected some of {', '.join(LATENTS)}."
        raise UsageError(msg, field="latents")
    if n < 100:
        msg = f"n is {n}, expected at least 100."
        raise UsageError(msg, field="n")
