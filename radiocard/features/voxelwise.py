"""Features of the neighbourhood of each voxel: where in a region a value comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import SpecError, UsageError
from radiocard.features.histogram import intensity_histogram
from radiocard.features.intensity import Values, intensity_statistics
from radiocard.features.native import TEXTURE, texture_values
from radiocard.features.prepare import View, prepare_all, views
from radiocard.features.region import FloatArray
from radiocard.features.registry import ORIGINAL, full_tags, wanted_features
from radiocard.image import Image
from radiocard.preprocessing.discretise import GreyLevels, discretise
from radiocard.specs import Family, FeatureSpec

Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]
_FAMILIES: tuple[Family, ...] = ("intensity", "histogram", *TEXTURE)
_CHUNK = 256


def voxel_maps(
    image: Image,
    mask: Mask,
    spec: FeatureSpec,
    *,
    tags: Sequence[str],
    radius: int,
    jobs: int = 1,
    labelled: Mask | None = None,
) -> dict[str, Image]:
    """Compute features of the neighbourhood of each voxel of a region.

    The grey values are prepared and discretised once, over the whole region; a neighbourhood is
    the part of the region within ``radius`` voxels (Chebyshev), in the slice plane where
    aggregation is 2D or 2.5D, as PyRadiomics does with a masked kernel.

    Parameters
    ----------
    image : Image
        Grey values.
    mask : ndarray of bool, shape of the image
        The region.
    spec : FeatureSpec
        All settings, of the native engine; resampling is refused, since the map lies on the grid
        of the image.
    tags : sequence of str
        Full tags of the specification (``cm_joint_entr_2d_avg_fbn32``) of the original image.
    radius : int
        Reach of the neighbourhood [voxel], at least 1.
    jobs : int
        Processes. Values do not depend on it; memory is bounded by one map per tag.
    labelled : ndarray of bool, shape of the image, optional
        Union of all labelled regions, for the normalisation.

    Returns
    -------
    dict of str to Image
        One map per tag on the grid of the image: NaN outside the region, and where undefined.

    Raises
    ------
    UsageError
        If ``radius`` or ``jobs`` is below 1.
    SpecError
        If a tag is not one of the specification, or its family has no neighbourhood (shape,
        local intensity, intensity-volume histogram), or resampling or another engine is asked for.
    CaseError
        As :func:`radiocard.features.extract.extract_region`.
    """
    families, computed = _checked(spec, tags, radius, jobs)
    union = mask if labelled is None else labelled
    regions, refused = prepare_all(image, {"": mask}, spec, labelled=union)
    for error in refused.values():
        raise error
    view = next(iter(views(regions, spec)))
    neighbours = _Neighbourhoods(view, spec, families, radius)
    values = _computed(neighbours, computed, jobs)
    target = _positions(regions[""].image, regions[""].intensity_mask, image)
    out = {}
    for n, tag in enumerate(tags):
        array = np.full(image.array.shape, np.nan)
        array[target] = values[:, n]
        out[tag] = Image(array, image.affine, image.oriented)
    return out


class _Neighbourhoods:
    """Cuts the neighbourhood of one voxel out of the prepared region and describes it."""

    def __init__(self, view: View, spec: FeatureSpec, families: tuple[Family, ...], radius: int) -> None:
        self.spec = spec.model_copy(update={"families": families})
        self.discretisation = view.discretisation
        region = view.region
        flat = all(not a.startswith("3d") for a in spec.texture.aggregation)
        self.reach = (radius, radius, 0 if flat else radius)
        self.mask = region.intensity_mask
        self.values = region.values
        self.levels = np.zeros(region.mask.shape, dtype=np.int32)
        grey = discretise(region.values[self.mask], view.discretisation, convention=spec.convention)
        self.levels[self.mask] = grey.levels
        self.n_levels = grey.n_levels
        self.spacing = region.spacing
        self.wanted = frozenset(f.tag for f in wanted_features(spec).values())
        self.voxels = np.argwhere(self.mask)

    def rows(self, start: int, tags: tuple[str, ...]) -> FloatArray:
        """Return the values of one chunk of voxels, one row each."""
        chunk = self.voxels[start : start + _CHUNK]
        found = [self._describe(voxel) for voxel in chunk]
        return np.array([[np.nan if (v := one.get(tag)) is None else v for tag in tags] for one in found])

    def _describe(self, voxel: NDArray[np.int64]) -> Values:
        box = tuple(
            slice(max(0, int(at) - reach), int(at) + reach + 1) for at, reach in zip(voxel, self.reach, strict=True)
        )
        mask = np.ascontiguousarray(self.mask[box])
        levels = np.ascontiguousarray(self.levels[box])
        grey = GreyLevels(levels[mask].astype(np.int64), self.n_levels)
        spec, out = self.spec, Values()
        if "intensity" in spec.families:
            out |= intensity_statistics(self.values[box][mask], convention=spec.convention)
        if "histogram" in spec.families:
            found = intensity_histogram(grey, convention=spec.convention)
            out |= {f"{tag}_{self.discretisation.tag}": value for tag, value in found.items()}
        return out | texture_values(
            levels,
            n_levels=self.n_levels,
            mask=mask,
            spacing=self.spacing,
            used=self.discretisation,
            spec=spec,
            wanted=self.wanted,
        )


def _checked(
    spec: FeatureSpec, tags: Sequence[str], radius: int, jobs: int
) -> tuple[tuple[Family, ...], tuple[str, ...]]:
    """Return the families that the tags belong to, and the tags by which they are computed."""
    if radius < 1 or jobs < 1:
        msg = f"radius is {radius} and jobs is {jobs}, expected at least 1 each."
        raise UsageError(msg)
    if spec.resampling is not None or spec.engine != "native":
        field = "resampling" if spec.resampling is not None else "engine"
        msg = f"Voxel maps cannot honour {field}: they lie on the grid of the image and need the native engine."
        raise SpecError(msg, field=field)
    known = {
        f"{ORIGINAL}_{name}" if spec.pyradiomics else tag: (feature.family, tag)
        for name, feature in wanted_features(spec).items()
        for tag in full_tags(feature, spec)
        if feature.family in _FAMILIES
    }
    for tag in tags:
        if tag not in known:
            msg = f"There is no voxel map of {tag!r} under specification {spec.name!r}."
            hint = "Take a tag of the original image from the intensity, histogram or texture families."
            raise SpecError(msg, field=tag, hint=hint)
    families = dict.fromkeys(known[tag][0] for tag in tags)
    return tuple(families), tuple(known[tag][1] for tag in tags)


def _computed(neighbours: _Neighbourhoods, tags: tuple[str, ...], jobs: int) -> FloatArray:
    starts = range(0, len(neighbours.voxels), _CHUNK)
    if jobs == 1:
        return np.concatenate([neighbours.rows(start, tags) for start in starts])
    from joblib import Parallel, delayed

    return np.concatenate(Parallel(n_jobs=jobs)(delayed(neighbours.rows)(start, tags) for start in starts))


def _positions(grid: Image, mask: Mask, image: Image) -> tuple[NDArray[np.int64], ...]:
    """Where the voxels of a mask on the prepared grid lie in the image."""
    there = np.linalg.inv(image.affine) @ grid.affine
    found = np.argwhere(mask) @ there[:3, :3].T + there[:3, 3]
    return tuple(np.round(found).astype(np.int64).T)
