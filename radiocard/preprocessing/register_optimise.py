"""The optimisers: rigid, then B-spline, in one slice plane (SimpleITK; one thread, every pixel, no random draw)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.specs.registration import RegistrationSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_SMOOTHING_PIXELS = (2.0, 0.75)  # coarse, then fine; a little at the end, since mutual information likes grid points


@dataclass(frozen=True, eq=False)
class Fit:
    """What the optimisers found.

    Parameters
    ----------
    turn_deg : float
        Rotation about the region's centre, from ``i`` towards ``j``.
    rigid_mm, field_mm : ndarray of float, shape (ni, nj, 2)
        Displacement from each pixel of the fixed slice to its match, along ``i, j`` [mm], before and
        after the B-spline.
    stopped_at_limit : bool
        Whether an optimiser used up its iterations.
    """

    turn_deg: float
    rigid_mm: Floats
    field_mm: Floats
    stopped_at_limit: bool


def optimise(
    fixed: Floats,
    moving: Floats,
    *,
    region: Bools,
    seen: Bools,
    spacing_mm: tuple[float, float],
    start_mm: tuple[float, float],
    settings: RegistrationSettings,
) -> Fit:
    """Align one slice to another, rigidly and, if asked for, by B-splines.

    Parameters
    ----------
    fixed, moving : ndarray of float, shape (ni, nj)
        Both on the fixed grid.
    region, seen : ndarray of bool, shape (ni, nj)
        Pixels that are compared, and those that the moving image covers.
    spacing_mm : tuple of float
        Pixel spacing along ``i, j`` [mm].
    start_mm : tuple of float
        Shift to start from [mm].
    settings : RegistrationSettings
        Metric, control points, iterations.

    Returns
    -------
    Fit

    Raises
    ------
    RuntimeError
        From SimpleITK, if too few pixels are left to compare.
    """
    images = [_to_itk(a, spacing_mm) for a in (fixed, moving)]
    masks = [_to_itk(a.astype(np.uint8), spacing_mm) for a in (region, seen)]
    centre = (np.argwhere(region).mean(axis=0) * spacing_mm).tolist()
    rigid = import_module("SimpleITK").Euler2DTransform(centre, 0.0, list(start_mm))
    stopped = _rigid(images, masks, rigid, settings)
    turn, field = float(np.rad2deg(rigid.GetAngle())), _field(rigid, images[0])
    if not settings.deformable:
        return Fit(turn, field, field, stopped)
    both, stopped_too = _spline(images, masks, rigid, settings)
    return Fit(turn, field, _field(both, images[0]), stopped or stopped_too)


def _rigid(images: list[Any], masks: list[Any], rigid: Any, settings: RegistrationSettings) -> bool:
    """Optimise a rigid transform in place; return whether the iterations ran out."""
    method = _method(images, masks, settings)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=settings.max_iterations, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScales([_mean_square_radius(masks[0], rigid.GetCenter()), 1.0, 1.0])
    method.SetInitialTransform(rigid, inPlace=True)
    method.Execute(*images)
    return bool(method.GetOptimizerIteration() >= settings.max_iterations)


def _mean_square_radius(region: Any, centre: tuple[float, float]) -> float:
    """Return the mean squared distance of the region from a point [mm2]: what a turn by 1 rad weighs against 1 mm."""
    pixels = np.argwhere(import_module("SimpleITK").GetArrayViewFromImage(region).T) * region.GetSpacing()
    return float(((pixels - centre) ** 2).sum(axis=1).mean())


def _spline(images: list[Any], masks: list[Any], rigid: Any, settings: RegistrationSettings) -> tuple[Any, bool]:
    """Control points cover the slice; those without a compared pixel nearby have no gradient and stay."""
    sitk = import_module("SimpleITK")
    size = [n * s for n, s in zip(images[0].GetSize(), images[0].GetSpacing(), strict=True)]
    mesh = [max(1, round(s / settings.control_spacing_mm)) for s in size]
    spline = sitk.BSplineTransformInitializer(images[0], mesh, 3)
    method = _method(images, masks, settings)
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5,
        numberOfIterations=settings.max_iterations,
        maximumNumberOfFunctionEvaluations=10 * settings.max_iterations,
        costFunctionConvergenceFactor=settings.tolerance / np.finfo(float).eps,
    )
    method.SetMovingInitialTransform(rigid)
    method.SetInitialTransform(spline, inPlace=True)
    method.Execute(*images)
    stopped = method.GetOptimizerIteration() >= settings.max_iterations
    return sitk.CompositeTransform([rigid, spline]), stopped


def _to_itk(array: NDArray[Any], spacing_mm: tuple[float, float]) -> Any:
    image = import_module("SimpleITK").GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing_mm)
    return image


def _method(images: list[Any], masks: list[Any], settings: RegistrationSettings) -> Any:
    sitk = import_module("SimpleITK")
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)  # the order of sums, and with it the last digit, depends on both
    if settings.contrast == "same":
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsMattesMutualInformation(settings.histogram_bins)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(masks[0])
    method.SetMetricMovingMask(masks[1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([1] * len(_SMOOTHING_PIXELS))
    method.SetSmoothingSigmasPerLevel([s * float(np.mean(images[0].GetSpacing())) for s in _SMOOTHING_PIXELS])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _field(transform: Any, reference: Any) -> Floats:
    sitk = import_module("SimpleITK")
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        reference.GetSize(),
        reference.GetOrigin(),
        reference.GetSpacing(),
        reference.GetDirection(),
    )
    return np.ascontiguousarray(sitk.GetArrayFromImage(field).transpose(1, 0, 2))
