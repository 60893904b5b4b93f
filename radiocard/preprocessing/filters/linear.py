"""Filters of IBSI-2 that act on one axis after another: mean, Laplacian of Gaussian, Laws [1]_.

References
----------
.. [1] Depeursinge et al., Standardised convolutional filtering for radiomics, arXiv:2006.05470
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from radiocard.preprocessing.filters.rotations import Chain, pool, turned_chains
from radiocard.preprocessing.filters.window import Box, Floats, Kernel, Respond, Shape, convolved
from radiocard.specs.filters import Dimension, LawsFilter, LogFilter, MeanFilter

_LAWS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "L3": (1, 2, 1),
        "E3": (-1, 0, 1),
        "S3": (-1, 2, -1),
        "L5": (1, 4, 6, 4, 1),
        "E5": (-1, -2, 0, 2, 1),
        "S5": (-1, 0, 2, 0, -1),
        "W5": (-1, 2, 0, -2, 1),
        "R5": (1, -4, 6, -4, 1),
    }
)


def mean_response(respond: Respond, shape: Shape, settings: MeanFilter) -> Respond:
    """Return the mean over a square or cube (IBSI S60F)."""
    kernel = _box_kernel(settings.support_voxel)
    return convolved(respond, shape, _on_axes([kernel] * 3, settings.dimension), settings.boundary)


def log_response(respond: Respond, shape: Shape, spacing: Sequence[float], settings: LogFilter) -> Respond:
    """Return the Laplacian of Gaussian (IBSI L6PA), in grey values per squared voxel edge.

    The edge is the geometric mean of the spacings of the axes that are filtered, so that
    isotropic voxels give IBSI's kernel. Each second derivative is freed of the remainder that
    sampling and truncation leave, so that a constant image gives zero.

    Parameters
    ----------
    respond : callable
        The image.
    shape : tuple of int
        Its shape.
    spacing : sequence of float
        Voxel spacing along ``i, j, k`` [mm].
    settings : LogFilter
        Scale [mm], truncation [standard deviations], dimension and boundary.

    Returns
    -------
    callable
    """
    n_axes = 2 if settings.dimension == "2d" else 3
    edge_squared = float(np.prod(spacing[:n_axes])) ** (2 / n_axes)
    smooth: list[Kernel] = []
    second: list[Kernel] = []
    for step in spacing[:n_axes]:
        radius = int(np.floor(settings.truncate * settings.sigma_mm / step + 0.5))
        x = np.arange(-radius, radius + 1) * step / settings.sigma_mm
        gauss = step / (np.sqrt(2 * np.pi) * settings.sigma_mm) * np.exp(-(x**2) / 2)
        curved = (x**2 - 1) * gauss * edge_squared / settings.sigma_mm**2
        smooth.append((gauss, radius))
        second.append((curved - gauss * (curved.sum() / gauss.sum()), radius))
    parts = []
    for axis in range(n_axes):
        kernels = [second[a] if a == axis else smooth[a] for a in range(n_axes)]
        parts.append(convolved(respond, shape, _on_axes(kernels, settings.dimension), settings.boundary))
    return lambda box: np.sum([part(box) for part in parts], axis=0)


def laws_response(respond: Respond, shape: Shape, settings: LawsFilter) -> Respond:
    """Return the response to Laws kernels (IBSI JTXT), pooled and as energy if asked for."""
    chains: list[Chain] = [(_laws_kernel(name),) for name in re.findall(r"[LESWR][35]", settings.kernels)]
    sets = turned_chains(chains) if settings.rotation_invariant else [chains]
    parts = [
        convolved(respond, shape, _on_axes([chain[0] for chain in one], settings.dimension), settings.boundary)
        for one in sets
    ]
    if not settings.energy_distance:
        return lambda box: pool((part(box) for part in parts), settings.pooling)

    def magnitude(box: Box) -> Floats:
        return np.abs(pool((part(box) for part in parts), settings.pooling))

    kernel = _box_kernel(2 * settings.energy_distance + 1)
    return convolved(magnitude, shape, _on_axes([kernel] * 3, settings.dimension), settings.boundary)


def _on_axes(kernels: Sequence[Kernel], dimension: Dimension) -> list[Kernel | None]:
    return [*kernels[:2], None if dimension == "2d" else kernels[2]]


def _laws_kernel(name: str) -> Kernel:
    values = np.array(_LAWS[name], dtype=np.float64)
    return values / np.sqrt((values**2).sum()), values.size // 2


def _box_kernel(support: int) -> Kernel:
    return np.full(support, 1.0 / support), support // 2
