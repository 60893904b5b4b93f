"""Grey level discretisation under both conventions (IBSI 4R0B).

Under ``ibsi`` a fixed bin size starts at the region's minimum (or at the lower bound of the
re-segmentation range). Under ``pyradiomics`` bin edges are multiples of the width from zero,
and a fixed bin number takes the edges of ``numpy.histogram``, as PyRadiomics 3 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import IntensityError, UsageError
from radiocard.jit.kernel import kernel
from radiocard.preprocessing.normalise import require_finite
from radiocard.specs import Convention, Discretisation

Values = NDArray[np.floating[Any]]

_TWO_EDGES = 2
_HINT = "Check for an extreme voxel, and that the bin width suits the unit of this image."


@dataclass(frozen=True, slots=True)
class GreyLevels:
    """Discretised grey values of one region.

    Parameters
    ----------
    levels : ndarray of int, shape (n,)
        Grey level of each voxel, from 1.
    n_levels : int
        Number of grey levels: the bin number, or the highest level of a fixed bin size.
    """

    levels: NDArray[np.int64]
    n_levels: int


def discretise(
    values: NDArray[Any], settings: Discretisation, *, convention: Convention, lower: float | None = None
) -> GreyLevels:
    """Discretise the grey values of one region.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Grey values of the region, n >= 1. Single precision is kept under ``pyradiomics``, where
        it rounds the bin edges.
    settings : Discretisation
        Method, bin number or bin width, and the cap on the number of bins.
    convention : {'ibsi', 'pyradiomics'}
        Whose rule places the bin edges.
    lower : float, optional
        Lower bound of the re-segmentation range: under ``ibsi`` the first bin of a fixed bin
        size starts there instead of at the minimum (see :func:`radiocard.preprocessing.
        resegment.bounds`).

    Returns
    -------
    GreyLevels
        A region with one grey value has one level (``ibsi``), or the middle one of a fixed
        bin number (``pyradiomics``).

    Raises
    ------
    UsageError
        If there is no value.
    IntensityError
        If a value is not finite (``E_NONFINITE``), if more bins than the cap are needed, or
        narrower ones than the rounding of the values (both ``E_BINS``).

    Examples
    --------
    >>> fbn = Discretisation(method="fbn", bins=4, max_bins=64)
    >>> discretise(np.array([0.0, 1.0, 2.0, 4.0]), fbn, convention="ibsi").levels.tolist()
    [1, 2, 3, 4]
    >>> fbs = Discretisation(method="fbs", width=2.0, max_bins=64)
    >>> discretise(np.array([1.0, 2.0, 3.0]), fbs, convention="ibsi").levels.tolist()
    [1, 1, 2]
    >>> discretise(np.array([1.0, 2.0, 3.0]), fbs, convention="pyradiomics").levels.tolist()
    [1, 2, 2]
    """
    single = convention == "pyradiomics" and np.asarray(values).dtype == np.float32
    x: Values = np.asarray(values, dtype=np.float32 if single else np.float64)
    if x.size == 0:
        msg = "There is no grey value to discretise."
        raise UsageError(msg)
    require_finite(x, where="the region")
    low, high = x.min(), x.max()
    _refuse_too_many_bins(float(low), float(high), settings, lower)
    if settings.method == "fbn":
        bins = int(settings.bins or 0)
        levels = _fbn_pyradiomics(x, bins) if convention == "pyradiomics" else _fbn(x, bins, low, high)
        return GreyLevels(levels, bins if high > low else int(levels.max()))
    width = float(settings.width or 0.0)
    levels = _fbs_pyradiomics(x, width, low, high) if convention == "pyradiomics" else _fbs(x, width, low, lower)
    return GreyLevels(levels, int(levels.max()))


def _refuse_too_many_bins(low: float, high: float, settings: Discretisation, lower: float | None) -> None:
    if lower is not None:
        low = min(low, lower)
    span = high - low
    needed = float(settings.bins or 0) if settings.method == "fbn" else span / float(settings.width or 1) + 1
    if needed > settings.max_bins or not np.isfinite(span):
        msg = (
            f"Discretisation needs {needed:g} bins for grey values from {low:g} to {high:g}, "
            f"expected at most {settings.max_bins}."
        )
        raise IntensityError(msg, code="E_BINS", hint=_HINT)


def _fbn(x: Values, bins: int, low: Any, high: Any) -> NDArray[np.int64]:
    if high == low:
        return np.ones(x.shape, dtype=np.int64)
    levels = (bins * (x - low) / (high - low)).astype(np.int64) + 1  # never negative, so this is the floor
    return np.minimum(levels, bins, out=levels)


def _fbs(x: Values, width: float, low: Any, lower: float | None) -> NDArray[np.int64]:
    start = float(low) if lower is None else lower
    if float(low) < start:
        msg = f"The lowest grey value {low:g} lies below the re-segmentation bound {start:g}."
        raise UsageError(msg)
    return ((x - start) / width).astype(np.int64) + 1


def _fbn_pyradiomics(x: Values, bins: int) -> NDArray[np.int64]:
    try:
        edges = np.histogram_bin_edges(x, bins)
    except ValueError:  # numpy sees that its edges would coincide
        raise _too_narrow(x) from None
    step = edges[1] - edges[0]
    edges[-1] += 1
    return _digitise(x, edges, step)


def _fbs_pyradiomics(x: Values, width: float, low: Any, high: Any) -> NDArray[np.int64]:
    edges = np.arange(low - (low % width), high + 2 * width, width)
    if edges.size < _TWO_EDGES:
        raise _too_narrow(x)
    return _digitise(x, edges, width)


def _too_narrow(x: Values) -> IntensityError:
    message = f"Bins are too narrow for grey values near {float(x.max()):g}, which are rounded more coarsely."
    return IntensityError(message, code="E_BINS", hint=_HINT)


def _digitise(x: Values, edges: Values, step: Any) -> NDArray[np.int64]:
    """Return ``numpy.digitize(x, edges)`` for edges that lie ``step`` apart but for rounding."""
    levels = np.empty(x.size, dtype=np.int64)
    _find_bins(x.astype(np.float64), edges.astype(np.float64), float(step), levels)
    return levels


@kernel
def _find_bins(x, edges, step, levels):  # type: ignore[no-untyped-def]
    top = len(edges) - 1
    for v in range(len(x)):
        index = max(0, min(int((x[v] - edges[0]) / step), top))
        while index >= 0 and x[v] < edges[index]:
            index -= 1
        while index < top and x[v] >= edges[index + 1]:
            index += 1
        levels[v] = index + 1
