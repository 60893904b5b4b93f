"""Fit probabilities to a place: its class mix, or a few local cases with labels."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator

from radiocard.errors import UsageError

Floats = NDArray[np.float64]

SMALLEST = 1e-6


def to_prevalence(probabilities: ArrayLike, training: ArrayLike, target: ArrayLike) -> Floats:
    """Turn probabilities at the training mix into probabilities at another class mix [1]_.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, classes)
    training, target : array_like of float, shape (classes,)
        Class mix of training, and the other one.

    Returns
    -------
    ndarray of float, shape (n, classes)

    Raises
    ------
    UsageError
        If the shapes differ, or training lacks a class.

    References
    ----------
    .. [1] Saerens, Latinne & Decaestecker, Neural Comput 14 (2002) 21, doi:10.1162/089976602753284446

    Examples
    --------
    >>> to_prevalence([[0.5, 0.5]], [0.5, 0.5], [0.9, 0.1]).round(3).tolist()
    [[0.9, 0.1]]
    """
    p, prior = np.asarray(probabilities, dtype=float), np.asarray(training, dtype=float)
    if p.ndim != 2 or prior.shape != p.shape[1:] or prior.min() <= 0:
        msg = f"Probabilities of shape {p.shape} and a training mix of shape {prior.shape} do not fit together."
        raise UsageError(msg, hint="Give one column per class and a mix above 0 for each.")
    out = np.clip(p, SMALLEST, None) * (np.asarray(target, dtype=float) / (prior / prior.sum()))
    return out / out.sum(axis=1, keepdims=True)


class FewShotRecalibrator(BaseEstimator):
    """Correct the probabilities of a frozen model by a few local cases with labels.

    ``temperature`` fits one number (how extreme the probabilities are), ``intercept`` one number per
    class but one, ``prior`` counts the local classes and re-weights. The ranking within a pair of classes
    is kept by all three. With few cases the fit is held near "no change": a normal prior of standard
    deviation ``spread`` on the log temperature and the intercepts, as many pseudo-patients as classes, at the
    training mix, on the counts. These are choices.

    Parameters
    ----------
    method : {'temperature', 'intercept', 'prior'}
    spread : float
        Standard deviation of the prior [nat].
    training : sequence of float or None
        Class mix of training; needed by ``prior``.

    Attributes
    ----------
    slope_ : float
        Inverse temperature.
    offset_ : ndarray of float, shape (classes,)
        Added to the log-probabilities.
    n_ : int
        Local cases used.
    """

    def __init__(
        self,
        method: Literal["temperature", "intercept", "prior"] = "temperature",
        *,
        spread: float = 1.0,
        training: ArrayLike | None = None,
    ) -> None:
        self.method = method
        self.spread = spread
        self.training = training

    def fit(self, probabilities: ArrayLike, y: ArrayLike) -> Self:
        """Fit the correction.

        Parameters
        ----------
        probabilities : array-like of float, shape (k, classes)
            What the model said about the local cases.
        y : array-like of int, shape (k,)
            Their class codes.

        Raises
        ------
        UsageError
            If a label is out of range, no case is given, the method is unknown, or ``prior`` has no
            training mix.
        """
        p = np.asarray(probabilities, dtype=float)
        codes = np.asarray(y, dtype=int)
        k = p.shape[1] if p.ndim == 2 else 0
        if k < 2 or codes.shape != (len(p),) or not codes.size or codes.min() < 0 or codes.max() >= k:
            msg = f"Found probabilities of shape {p.shape} and {codes.size} labels; expected class codes from 0."
            raise UsageError(msg)
        log_p = np.log(np.clip(p, SMALLEST, None))
        self.n_, self.slope_, self.offset_ = codes.size, 1.0, np.zeros(k)
        if self.method == "prior":
            if self.training is None:
                msg = "Method 'prior' needs the class mix of training."
                raise UsageError(msg, field="training")
            prior = np.asarray(self.training, dtype=float)
            counts = np.bincount(codes, minlength=k) + prior / prior.sum() * k
            self.offset_ = np.log(counts / counts.sum()) - np.log(prior / prior.sum())
        elif self.method == "temperature":
            self.slope_ = float(np.exp(self._minimise(lambda t: np.exp(t[0]) * log_p, codes, 1)[0]))
        elif self.method == "intercept":
            offset = self._minimise(lambda t: log_p + t, codes, k)
            self.offset_ = offset - offset.mean()
        else:
            msg = f"Method is {self.method!r}, expected 'temperature', 'intercept' or 'prior'."
            raise UsageError(msg, field="method")
        return self

    def predict_proba(self, probabilities: ArrayLike) -> Floats:
        """Return corrected probabilities, shape (n, classes)."""
        log_p = np.log(np.clip(np.asarray(probabilities, dtype=float), SMALLEST, None))
        corrected: Floats = softmax(self.slope_ * log_p + self.offset_, axis=1)
        return corrected

    def _minimise(self, logits: object, codes: NDArray[np.int_], size: int) -> Floats:
        def loss(t: Floats) -> float:
            log_q = log_softmax(logits(t), axis=1)  # type: ignore[operator]
            return float(-log_q[np.arange(codes.size), codes].sum() + 0.5 * (t**2).sum() / self.spread**2)

        found: Floats = minimize(loss, np.zeros(size), method="BFGS", tol=1e-10).x
        return found
