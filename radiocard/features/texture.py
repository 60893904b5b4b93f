"""All texture matrices of one region, under every aggregation method of the IBSI [1]_.

Two conventions share the matrices. ``ibsi`` follows the reference manual. ``pyradiomics`` gives
the values of PyRadiomics 3 [2]_, which differ in this:

* all distances enter one set of directions, and one neighbourhood;
* weights depend on lengths in mm: exp(-d^2) for co-occurrence, but d itself for run lengths;
* a direction in which no line meets two voxels of the region is left out of the run lengths;
* voxels without neighbours enter the frequencies of the grey tone difference matrix;
* in a mean over directions, a co-occurrence matrix with a single grey level adds a correlation
  of 1 and a first information correlation and maximal correlation coefficient of 0.

Where no matrix defines a feature, PyRadiomics fills in a number and this module gives None:

* ``cm_corr`` (1), ``cm_info_corr1`` (0), ``cm_mcc`` (1 or 0): all pairs have one grey level;
* ``ngt_coarseness`` (1e6) and ``ngt_strength`` (0): every voxel equals the mean of its
  neighbours, as in a region with one grey level;
* ``ngt_contrast`` (0): the voxels that enter the matrix have one grey level;
* ``ngt_busyness`` (0): the same, or grey level times frequency is equal for all levels;
* all of NGTDM (as above, ``ngt_complexity`` 0): no voxel has a neighbour;
* ``cm_inv_var`` (0): there is no pair, where its other co-occurrence features are NaN;
* ``rlm_rl_var`` and ``rlm_rl_entr`` (0): no line meets two voxels, where its other run length
  features are NaN.

PyRadiomics stops with an error at a region of one voxel, which under ``pyradiomics`` has zones and
dependences here and None elsewhere.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
.. [2] van Griethuysen et al., Cancer Res. 77 (2017), doi:10.1158/0008-5472.CAN-17-0339
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MaskError
from radiocard.features.aggregate import lengths
from radiocard.features.glcm import glcm_features
from radiocard.features.glrlm import glrlm_features
from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, Offsets, directions, prepare_block
from radiocard.features.neighbours import neighbour_features
from radiocard.features.region import Spacing
from radiocard.features.zones import Pooling, zone_features
from radiocard.specs.features import Aggregation, Convention, Family, TextureSettings

Key = tuple[Family, str, int]


def texture_features(
    levels: NDArray[Any],
    *,
    n_levels: int,
    mask: NDArray[np.bool_],
    spacing: Spacing,
    families: Collection[Family],
    settings: TextureSettings,
    convention: Convention,
    mcc: bool,
) -> dict[Key, Values]:
    """Compute the texture features of one region.

    Parameters
    ----------
    levels : ndarray of int, shape (ni, nj, nk)
        Grey levels from 1 inside the ROI intensity mask, 0 outside; ``k`` is the slice axis.
        No conversion is needed for C-contiguous int32.
    n_levels : int
        Number of grey levels of the discretisation.
    mask : ndarray of bool, shape (ni, nj, nk)
        ROI morphological mask, to whose border distance zones are measured.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm]; used for weights under ``pyradiomics``.
    families : collection of str
        Any of ``glcm``, ``glrlm``, ``glszm``, ``gldzm``, ``ngtdm`` and ``ngldm``; others are
        left to other modules.
    settings : TextureSettings
        Aggregation methods, distances and weights.
    convention : {'ibsi', 'pyradiomics'}
        Whose definitions hold where they differ, see the module.
    mcc : bool
        Whether to add ``cm_mcc``, the maximal correlation coefficient, to the co-occurrence
        features.

    Returns
    -------
    dict of (str, str, int) to dict of str to float or None
        By family, aggregation and distance: tag without suffix (``cm_joint_entr``) to value.
        The aggregation of zones and neighbourhoods is ``2d``, ``2_5d`` or ``3d``. The distance
        is that of the pairs (GLCM), the reach of the neighbourhood (NGTDM, NGLDM) or 1; under
        ``pyradiomics``, the first of the distances where they have a meaning. None where a
        feature is undefined.

    Raises
    ------
    MaskError
        If no voxel has a grey level (``E_EMPTY_ROI``).

    Examples
    --------
    >>> settings = TextureSettings(aggregation=("3d_comb",), distances=(1,), weighting="none", coarseness=0)
    >>> levels = np.array([[[1], [2]], [[1], [2]]])
    >>> found = texture_features(
    ...     levels,
    ...     n_levels=2,
    ...     mask=levels > 0,
    ...     spacing=(1.0, 1.0, 1.0),
    ...     families=["glcm"],
    ...     settings=settings,
    ...     convention="ibsi",
    ...     mcc=False,
    ... )
    >>> round(found["glcm", "3d_comb", 1]["cm_contrast"], 3)
    0.667
    """
    wanted = set(families)
    block = prepare_block(levels, reach=max(settings.distances) if wanted & {"glcm", "ngtdm", "ngldm"} else 1)
    if block.positions.size == 0:
        msg = "The region has no voxel with a grey level, expected at least 1."
        raise MaskError(msg, hint="Check the label numbers and the range of the re-segmentation.")
    out: dict[Key, Values] = {}
    for names in _planes(settings.aggregation):
        if "glcm" in wanted:
            out |= _glcm(block, names, n_levels, spacing, settings, convention, mcc)
        if "glrlm" in wanted:
            out |= _glrlm(block, names, spacing, settings, convention)
        poolings = _poolings(names)
        if wanted & {"glszm", "gldzm"}:
            found = zone_features(
                block,
                poolings=poolings,
                sizes="glszm" in wanted,
                distance_mask=np.asarray(mask, dtype=bool) if "gldzm" in wanted else None,
            )
            out |= {(family, name, 1): values for (family, name), values in found.items()}
        if wanted & {"ngtdm", "ngldm"}:
            out |= _neighbours(block, poolings, wanted, settings, convention)
    return out


def _planes(aggregations: tuple[Aggregation, ...]) -> list[list[Aggregation]]:
    """Separate those within slices from those in space."""
    flat = [name for name in dict.fromkeys(aggregations) if not name.startswith("3d")]
    deep = [name for name in dict.fromkeys(aggregations) if name.startswith("3d")]
    return [names for names in (flat, deep) if names]


def _poolings(aggregations: list[Aggregation]) -> list[Pooling]:
    return cast(list[Pooling], list(dict.fromkeys(name.rpartition("_")[0] for name in aggregations)))


def _weights(offsets: Offsets, spacing: Spacing, settings: TextureSettings, convention: Convention) -> FloatArray:
    if settings.weighting == "none":
        return np.ones(len(offsets))
    step = spacing if convention == "pyradiomics" else (1.0, 1.0, 1.0)
    return np.exp(-(lengths(offsets, norm=settings.weighting, spacing=step) ** 2))


def _glcm(
    block: Block,
    names: list[Aggregation],
    n_levels: int,
    spacing: Spacing,
    settings: TextureSettings,
    convention: Convention,
    mcc: bool,
) -> dict[Key, Values]:
    sets = [settings.distances] if convention == "pyradiomics" else [(d,) for d in settings.distances]
    out: dict[Key, Values] = {}
    for distances in sets:
        offsets = directions(distances, in_plane=not names[0].startswith("3d"))
        found = glcm_features(
            block,
            n_levels=n_levels,
            offsets=offsets,
            weights=_weights(offsets, spacing, settings, convention),
            aggregations=names,
            convention=convention,
            mcc=mcc,
        )
        out |= {("glcm", name, distances[0]): values for name, values in found.items()}
    return out


def _glrlm(
    block: Block, names: list[Aggregation], spacing: Spacing, settings: TextureSettings, convention: Convention
) -> dict[Key, Values]:
    offsets = directions((1,), in_plane=not names[0].startswith("3d"))
    if convention == "pyradiomics":
        weights = lengths(offsets, norm=settings.weighting, spacing=spacing)
    else:
        weights = _weights(offsets, spacing, settings, convention)
    found = glrlm_features(block, offsets=offsets, weights=weights, aggregations=names, convention=convention)
    return {("glrlm", name, 1): values for name, values in found.items()}


def _neighbours(
    block: Block, poolings: list[Pooling], wanted: set[Family], settings: TextureSettings, convention: Convention
) -> dict[Key, Values]:
    furthest = max(settings.distances)
    distances = settings.distances if convention == "pyradiomics" else tuple(range(1, furthest + 1))
    offsets = directions(distances, in_plane="3d" not in poolings)
    found = neighbour_features(
        block, offsets=offsets, poolings=poolings, coarseness=settings.coarseness, convention=convention
    )
    key = settings.distances[0] if convention == "pyradiomics" else furthest
    return {(family, name, key): values for (family, name), values in found.items() if family in wanted}
