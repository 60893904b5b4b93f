"""Features of the neighbourhood of each voxel: where in a region a value comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import SpecError, UsageError
from radiocard.features.histogram import intensity_histogram
from radiocard.features.intensity import Values
from radiocard.features.native import TEXTURE, grey_levels, statistics, texture_values
from radiocard.features.prepare import prepare_all
from radiocard.features.region import FloatArray
from radiocard.features.registry import ORIGINAL, full_tags, wanted_features
from radiocard.features.views import View, views
from radiocard.image import Image
from radiocard.preprocessing.discretise import GreyLevels
from radiocard.specs import Family, FeatureSpec

Mask = NDArray[np.bool_]
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
    within: Mask | None = None,
) -> dict[str, Image]:
    """Compute features of the neighbourhood of each voxel of a region.

    The grey values are prepared and discretised once, over the whole region; a neighbourhood is
    the part of the region within ``radius`` voxels (Chebyshev), as in PyRadiomics with a masked
    kernel: in the slice plane for texture in 2D or 2.5D, a cube for texture in 3D, and for
    statistics a cube if all texture of the specification is in 3D.

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
    within : ndarray of bool, shape of the image, optional
        Voxels whose neighbourhood is wanted; all of the region without it.

    Returns
    -------
    dict of str to Image
        One map per tag on the grid of the image: NaN outside the region, where it was not wanted, and
        where undefined.

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
    known = _checked(spec, tags, radius, jobs)
    union = mask if labelled is None else labelled
    regions, refused = prepare_all(image, {"": mask}, spec, labelled=union)
    for error in refused.values():
        raise error
    view = next(view for view in views(regions, spec) if view.image_name == ORIGINAL)
    places = _positions(regions[""].image, regions[""].intensity_mask, image)
    wanted = np.ones(places[0].size, dtype=bool) if within is None else within[places]
    values: dict[str, FloatArray] = {}
    for flat in (True, False):
        chosen = [tag for tag in dict.fromkeys(tags) if known[tag].flat == flat]
        if chosen:
            neighbours = _Neighbourhoods(view, spec, [known[tag] for tag in chosen], radius, wanted)
            values |= dict(zip(chosen, neighbours.values(jobs).T, strict=True))
    target = tuple(axis[wanted] for axis in places)
    out = {}
    for tag in tags:
        array = np.full(image.array.shape, np.nan)
        array[target] = values[tag]
        out[tag] = Image(array, image.affine, image.oriented)
    return out


class _Map(NamedTuple):
    """One map: the tag it is computed by, its family, and whether neighbourhoods stay in the slice plane."""

    tag: str
    family: Family
    flat: bool


class _Neighbourhoods:
    """Cuts the neighbourhood of one voxel out of the prepared region and describes it."""

    def __init__(self, view: View, spec: FeatureSpec, maps: list[_Map], radius: int, wanted: Mask) -> None:
        families = tuple(dict.fromkeys(one.family for one in maps))
        flat = maps[0].flat
        aggregation = tuple(a for a in spec.texture.aggregation if a.startswith("3d") != flat)
        texture = spec.texture.model_copy(update={"aggregation": aggregation or spec.texture.aggregation})
        self.spec = spec.model_copy(update={"families": families, "texture": texture})
        self.tags = [one.tag for one in maps]
        self.wanted = frozenset(feature.tag for feature in wanted_features(spec).values())
        self.discretisation = view.discretisation
        self.spacing = view.region.spacing
        self.reach = (radius, radius, 0 if flat else radius)
        self.mask = view.region.intensity_mask
        self.grey = view.region.values
        found = grey_levels(view, self.grey[self.mask], spec)
        self.levels = np.zeros(self.mask.shape, dtype=np.int32)
        self.levels[self.mask] = found.levels
        self.n_levels = found.n_levels
        self.voxels = np.argwhere(self.mask)[wanted]

    def values(self, jobs: int) -> FloatArray:
        """Return the values of all voxels, one row each."""
        starts = range(0, max(len(self.voxels), 1), _CHUNK)
        if jobs == 1:
            return np.concatenate([self._rows(start) for start in starts])
        from joblib import Parallel, delayed

        return np.concatenate(Parallel(n_jobs=jobs)(delayed(self._rows)(start) for start in starts))

    def _rows(self, start: int) -> FloatArray:
        chunk = self.voxels[start : start + _CHUNK]
        found = [self._describe(voxel) for voxel in chunk]
        rows = [[np.nan if (v := one.get(tag)) is None else v for tag in self.tags] for one in found]
        return np.array(rows).reshape(len(chunk), len(self.tags))

    def _describe(self, voxel: NDArray[np.int64]) -> Values:
        box = tuple(
            slice(max(0, int(at) - reach), int(at) + reach + 1) for at, reach in zip(voxel, self.reach, strict=True)
        )
        mask = np.ascontiguousarray(self.mask[box])
        levels = np.ascontiguousarray(self.levels[box])
        spec, out = self.spec, Values()
        if "intensity" in spec.families:
            out |= statistics(self.grey[box][mask], self.spacing, spec)
        if "histogram" in spec.families:
            grey = GreyLevels(levels[mask].astype(np.int64), self.n_levels)
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


def _checked(spec: FeatureSpec, tags: Sequence[str], radius: int, jobs: int) -> dict[str, _Map]:
    """Return what can be mapped under a specification, by the names that it gives."""
    if radius < 1 or jobs < 1:
        msg = f"radius is {radius} and jobs is {jobs}, expected at least 1 each."
        raise UsageError(msg)
    if spec.resampling is not None or spec.engine != "native":
        field = "resampling" if spec.resampling is not None else "engine"
        msg = f"Voxel maps cannot honour {field}: they lie on the grid of the image and need the native engine."
        raise SpecError(msg, field=field)
    own = next((used.discretisation for used in spec.filters if used.kind == ORIGINAL), None)
    flat = not all(a.startswith("3d") for a in spec.texture.aggregation)
    known = {
        f"{ORIGINAL}_{name}" if spec.pyradiomics else tag: _Map(
            tag, feature.family, f"{feature.tag}_3d" not in tag if feature.family in TEXTURE else flat
        )
        for name, feature in wanted_features(spec).items()
        for tag in full_tags(feature, spec, own)
        if feature.family in _FAMILIES and any(used.kind == ORIGINAL for used in spec.filters)
    }
    for tag in tags:
        if tag not in known:
            msg = f"There is no voxel map of {tag!r} under specification {spec.name!r}."
            hint = "Take a tag of the original image from the intensity, histogram or texture families."
            raise SpecError(msg, field=tag, hint=hint)
    return known


def _positions(grid: Image, mask: Mask, image: Image) -> tuple[NDArray[np.int64], ...]:
    """Where the voxels of a mask on the prepared grid lie in the image."""
    there = np.linalg.inv(image.affine) @ grid.affine
    found = np.argwhere(mask) @ there[:3, :3].T + there[:3, 3]
    return tuple(np.round(found).astype(np.int64).T)
