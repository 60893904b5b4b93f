"""From a list of filter settings to filtered images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.image import FloatArray
from radiocard.preprocessing.filters.gabor import gabor_response
from radiocard.preprocessing.filters.lbp import pyradiomics_lbp_2d
from radiocard.preprocessing.filters.linear import laws_response, log_response, mean_response
from radiocard.preprocessing.filters.pyradiomics_log import pyradiomics_log
from radiocard.preprocessing.filters.pyradiomics_point import pyradiomics_gradient, pyradiomics_point
from radiocard.preprocessing.filters.pyradiomics_wavelet import pyradiomics_wavelet
from radiocard.preprocessing.filters.wavelets import wavelet_responses
from radiocard.preprocessing.filters.window import Box, whole
from radiocard.specs import Discretisation
from radiocard.specs.filters import (
    Filter,
    GaborFilter,
    LawsFilter,
    LogFilter,
    MeanFilter,
    Original,
    PyradiomicsGradient,
    PyradiomicsLbp2D,
    PyradiomicsLog,
    PyradiomicsPoint,
    PyradiomicsWavelet,
    WaveletFilter,
)


def filtered_images(
    array: NDArray[Any], spacing: Sequence[float], filters: Sequence[Filter], box: Box
) -> Iterator[tuple[str, FloatArray, Discretisation | None]]:
    """Yield each filtered image where a region needs it, one after another.

    Values are those of filtering the whole image; only a margin around the box is read.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        Grey values of the whole image, ``k`` along the slices.
    spacing : sequence of float
        Voxel spacing along ``i, j, k`` [mm].
    filters : sequence of Filter
        What is wanted, ``original`` included.
    box : tuple of slice
        Bounding box of the regions, with start and stop.

    Yields
    ------
    name : str
        As in ``names`` of the filter.
    values : ndarray of float, shape of the box
        Filtered grey values; ``original`` is a view where it can be. ``pyradiomics_log`` and
        ``gradient`` are in single precision, as ITK gives them to PyRadiomics: bin edges
        depend on it.
    discretisation : Discretisation or None
        The filter's own, if it has one.

    Raises
    ------
    SpecError
        If a filter names an unknown wavelet.
    GeometryError
        If the image is too small for a filter.
    IntensityError
        If the image is zero everywhere and the filter scales by its largest magnitude.

    Examples
    --------
    >>> mean = MeanFilter(kind="mean", dimension="3d", support_voxel=3, boundary="zero")
    >>> box = (slice(1, 2), slice(1, 2), slice(1, 2))
    >>> [(name, round(float(x.sum()), 6)) for name, x, _ in filtered_images(np.ones((3, 3, 3)), (1, 1, 1), [mean], box)]
    [('mean-3d-3', 1.0)]
    """
    for settings in filters:
        for name, values in zip(settings.names, _images(array, spacing, settings, box), strict=True):
            yield name, values, settings.discretisation


def _images(array: NDArray[Any], spacing: Sequence[float], settings: Filter, box: Box) -> Iterator[FloatArray]:
    if isinstance(settings, Original):
        yield array[box] if array.dtype == np.float32 else np.asarray(array[box], dtype=np.float64)
    elif isinstance(settings, MeanFilter | LogFilter | LawsFilter | GaborFilter | WaveletFilter):
        yield from _ibsi(array, spacing, settings, box)
    elif isinstance(settings, PyradiomicsLog):
        yield from pyradiomics_log(array, spacing, box, settings)
    elif isinstance(settings, PyradiomicsWavelet):
        yield from pyradiomics_wavelet(array, box, settings)
    elif isinstance(settings, PyradiomicsPoint):
        yield pyradiomics_point(array, box, settings)
    elif isinstance(settings, PyradiomicsGradient):
        yield pyradiomics_gradient(array, spacing, box, settings)
    elif isinstance(settings, PyradiomicsLbp2D):
        yield pyradiomics_lbp_2d(array, box, settings)


def _ibsi(
    array: NDArray[Any],
    spacing: Sequence[float],
    settings: MeanFilter | LogFilter | LawsFilter | GaborFilter | WaveletFilter,
    box: Box,
) -> Iterator[FloatArray]:
    n_i, n_j, n_k = array.shape
    image, shape = whole(array), (n_i, n_j, n_k)
    if isinstance(settings, MeanFilter):
        yield mean_response(image, shape, settings)(box)
    elif isinstance(settings, LogFilter):
        yield log_response(image, shape, spacing, settings)(box)
    elif isinstance(settings, LawsFilter):
        yield laws_response(image, shape, settings)(box)
    elif isinstance(settings, GaborFilter):
        yield gabor_response(image, shape, spacing, settings)(box)
    else:
        for respond in wavelet_responses(image, shape, settings):
            yield respond(box)
