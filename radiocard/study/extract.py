"""Validate a cohort, and extract its table; one region's features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.checks.case import check_grid
from radiocard.cohort.row import CaseResult
from radiocard.cohort.run import run_cohort
from radiocard.errors import GeometryError, Issue, MaskError, NothingUsableError
from radiocard.features.extract import extract_region
from radiocard.features.voxelwise import voxel_maps
from radiocard.image import Image, stored_like
from radiocard.io.cohort import Cohort, read_cohort
from radiocard.io.convert import as_image
from radiocard.specs import FeatureSpec, read_spec

if TYPE_CHECKING:
    import SimpleITK as sitk

DEFAULT_SPEC = "cine_sax"
Progress = Callable[[CaseResult], None]


@dataclass(frozen=True)
class Validation:
    """What the checks say of a cohort.

    Parameters
    ----------
    layout, label_convention : str
        How the folder was recognised, and what its label numbers mean.
    n_cases, n_usable : int
        Cases named by the cohort, and cases that pass.
    issues : tuple of Issue
        Every finding.
    """

    layout: str
    label_convention: str
    n_cases: int
    n_usable: int
    issues: tuple[Issue, ...]

    @property
    def n_refused(self) -> int:
        """Number of cases that no result is made for."""
        return self.n_cases - self.n_usable


def as_cohort(source: str | Path | Cohort) -> Cohort:
    """Return a cohort from a folder, a manifest or a cohort."""
    return source if isinstance(source, Cohort) else read_cohort(source)


def as_spec(source: str | Path | FeatureSpec) -> FeatureSpec:
    """Return a feature specification from a name, a path or a specification."""
    return source if isinstance(source, FeatureSpec) else read_spec(source)


def validate(
    cohort: str | Path | Cohort,
    *,
    spec: str | Path | FeatureSpec = DEFAULT_SPEC,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Validation:
    """Read, check and measure every case without describing its texture.

    Parameters
    ----------
    cohort : str, Path or Cohort
        A folder in ACDC or M&Ms layout, or a manifest CSV.
    spec : str, Path or FeatureSpec
        Specification whose limits apply.
    jobs : int
        Worker processes.
    progress : callable or None
        Called with each case's result.

    Returns
    -------
    Validation

    Raises
    ------
    CohortError
        If the cohort cannot be read.
    """
    found = as_cohort(cohort)
    usable = 0
    issues: Sequence[Issue]
    try:
        table, issues = run_cohort(found, as_spec(spec), jobs=jobs, texture=False, progress=progress)
        usable = len(table)
    except NothingUsableError as error:
        issues = error.issues
    return Validation(found.layout, found.label_convention, len(found.cases), usable, tuple(issues))


def extract(
    cohort: str | Path | Cohort,
    *,
    spec: str | Path | FeatureSpec = DEFAULT_SPEC,
    jobs: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Turn a cohort into a table: one row per usable patient.

    Parameters
    ----------
    cohort : str, Path or Cohort
        A folder in ACDC or M&Ms layout, or a manifest CSV.
    spec : str, Path or FeatureSpec
        What to compute; a shipped name or a path.
    jobs : int
        Worker processes; the values do not depend on it.
    progress : callable or None
        Called with each case's result.

    Returns
    -------
    DataFrame, index ``patient_id``
        Covariates, provenance, clinical measurements (``lvedv_ml``, ``lvef_pct``, ...) and
        texture. ``table.attrs["radiocard"]`` holds the specification, its hash and every
        finding, refused cases included.

    Raises
    ------
    CohortError
        If the cohort cannot be read, or no case is usable.
    SpecError
        If the specification cannot be read.
    """
    found = as_cohort(cohort)
    table, issues = run_cohort(found, as_spec(spec), jobs=jobs, progress=progress)
    table.attrs["radiocard"] |= {"n_cases": len(found.cases), "issues": [issue.to_dict() for issue in issues]}
    return table


def extract_features(
    image: str | Path | NDArray[np.generic] | sitk.Image | Image,
    mask: str | Path | NDArray[np.generic] | sitk.Image | Image,
    *,
    spec: str | Path | FeatureSpec = DEFAULT_SPEC,
    label: int = 1,
    spacing_mm: Sequence[float] | None = None,
) -> dict[str, float | None]:
    """Describe one region of one image.

    Parameters
    ----------
    image, mask : path, SimpleITK image, Image, or ndarray of shape (ni, nj, nk)
        Grey values, and label numbers on the same grid.
    spec : str, Path or FeatureSpec
        Families, convention, normalisation, discretisation and grid tolerance. Normalisation
        within the labelled voxels uses every voxel of the mask above 0.
    label : int
        Label number of the region.
    spacing_mm : sequence of 3 floats, optional
        Voxel spacing [mm]; with arrays only.

    Returns
    -------
    dict of str to float or None
        IBSI tag to value; None where a feature is undefined.

    Raises
    ------
    GeometryError
        If image and mask are on different grids.
    MaskError
        If the label is not present.
    """
    settings = as_spec(spec)
    grid, region, labelled = _one_region(image, mask, settings, label, spacing_mm)
    return extract_region(grid, region, settings, labelled=labelled)


def feature_maps(
    image: str | Path | NDArray[np.generic] | sitk.Image | Image,
    mask: str | Path | NDArray[np.generic] | sitk.Image | Image,
    *,
    tags: Sequence[str],
    spec: str | Path | FeatureSpec = DEFAULT_SPEC,
    label: int = 1,
    radius: int = 2,
    jobs: int = 1,
    spacing_mm: Sequence[float] | None = None,
) -> dict[str, Image]:
    """Compute features of the neighbourhood of each voxel, see where a value comes from.

    Parameters
    ----------
    image, mask, spec, label, spacing_mm
        As in :func:`extract_features`.
    tags : sequence of str
        Names of intensity, histogram or texture features, as :func:`extract_features` gives them.
    radius : int
        Reach of the neighbourhood [voxel], in the slice plane unless texture is 3D.
    jobs : int
        Worker processes; the values do not depend on it.

    Returns
    -------
    dict of str to Image
        One map per tag on the grid of the image; NaN outside the region.

    Raises
    ------
    SpecError
        If a tag has no map, or the specification resamples.
    UsageError, GeometryError, MaskError
        As :func:`extract_features`, and if ``radius`` or ``jobs`` is below 1.
    """
    settings = as_spec(spec)
    grid, region, labelled = _one_region(image, mask, settings, label, spacing_mm)
    return voxel_maps(grid, region, settings, tags=tags, radius=radius, jobs=jobs, labelled=labelled)


def _one_region(
    image: str | Path | NDArray[np.generic] | sitk.Image | Image,
    mask: str | Path | NDArray[np.generic] | sitk.Image | Image,
    settings: FeatureSpec,
    label: int,
    spacing_mm: Sequence[float] | None,
) -> tuple[Image, NDArray[np.bool_], NDArray[np.bool_]]:
    """Read image, region and the union of all labels, on one grid."""
    grid, regions = as_image(image, spacing_mm=spacing_mm), as_image(mask, spacing_mm=spacing_mm, field="mask")
    regions = stored_like(regions, grid)
    tolerance = settings.checks.grid_tolerance_voxel
    for issue in check_grid(grid, regions, tolerance_voxel=tolerance, case="-", field="mask"):
        raise GeometryError(issue.message, code=issue.code, field=issue.field, hint=issue.hint)
    region = regions.array == label
    if not region.any():
        labels = ", ".join(str(v) for v in np.unique(regions.array)[:12].tolist())
        msg = f"Label {label} is not present in the mask; labels found: {labels}."
        raise MaskError(msg, field="mask")
    return grid, region, np.asarray(regions.array > 0)
