"""Maps one by one: fit them from raw series, align them, ECV from two of them, measure one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radiocard.cardiac.blood import shared_blood_pool
from radiocard.cardiac.ecv import HAEMATOCRIT, EcvMap, Haematocrit, ecv_map
from radiocard.cardiac.map_dictionary import MAP_COLUMNS
from radiocard.cardiac.maps import MapMeasures, measure_maps
from radiocard.cardiac.series import count_reasons
from radiocard.cardiac.t1 import fit_molli, fit_sasha
from radiocard.cardiac.t2 import fit_t2
from radiocard.cardiac.t2_star import fit_t2_star
from radiocard.checks.case import check_grid
from radiocard.checks.units import check_units
from radiocard.errors import CaseRefusedError, GeometryError, Issue, UsageError
from radiocard.image import STILL, Case, Image, LabelMap, stored_like
from radiocard.io.labels import parse_labels
from radiocard.io.map_files import Unit, read_map, write_map
from radiocard.io.nifti import read_label_map
from radiocard.io.raw_series import Kind, RawSeries, read_series
from radiocard.io.units import convert_units
from radiocard.preprocessing.register import Registration, register, register_series
from radiocard.specs import parse_as, read_spec
from radiocard.specs.maps import MapSettings
from radiocard.specs.registration import RegistrationSettings

KINDS: Mapping[str, Kind] = {
    "molli": "inversion",
    "sasha-2": "saturation",
    "sasha-3": "saturation",
    "t2-prepared": "t2prep",
    "t2-prepared-offset": "t2prep",
    "spin-echo": "echo",
    "t2-star": "echo",
}
SPECS: Mapping[str, str] = {"t1_native": "t1_map", "t1_post": "ecv_map", "t2": "t2_map", "ecv": "ecv_map"}
GRID_TOLERANCE_VOXEL = 1e-3
UNALIGNED = "Look at both maps: an ECV of unaligned maps means nothing. If they match as they are, do not align them."


@dataclass(frozen=True, eq=False)
class FittedMap:
    """A map fitted from a raw series.

    Parameters
    ----------
    image : Image
        Relaxation time [ms]; NaN where there is no fit.
    residual : Image
        Root mean square of the residuals as a fraction of the largest signal of the pixel.
    reasons : Image
        0 where the value is trusted, else the sum of :class:`radiocard.cardiac.series.Reason`.
    times_ms : tuple of float
        What was fitted to [ms].
    counts : dict of str to int
        Pixels by reason, in words.
    notes : tuple of str
        Frames that could not be aligned.
    """

    image: Image
    residual: Image
    reasons: Image
    times_ms: tuple[float, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]

    @property
    def trusted_pct(self) -> float:
        """Share of the fitted pixels whose value is trusted [%]."""
        fitted = np.isfinite(self.image.array)
        return float(100.0 * (self.reasons.array[fitted] == 0).mean()) if fitted.any() else 0.0


def fit_map(
    source: str | Path,
    *,
    method: str,
    times_ms: Sequence[float] | None = None,
    sidecar: str | Path | None = None,
    min_signal: float = 0.0,
    noise_sd: float | None = None,
    align: bool = False,
) -> FittedMap:
    """Fit a T1, T2 or T2* map to a raw series.

    Parameters
    ----------
    source : str or Path
        Four-dimensional NIfTI file, or DICOM (see :func:`radiocard.io.raw_series.read_series`).
    method : str
        ``molli``; ``sasha-2`` or ``sasha-3`` parameters; ``t2-prepared``, or with an offset;
        ``spin-echo`` (the first echo is left out); ``t2-star``.
    times_ms, sidecar
        Where the file does not state its times.
    min_signal : float
        Pixels whose largest signal is not above it are not fitted [unit of the signal].
    noise_sd : float, optional
        For ``t2-star``: noise of one pixel in the real channel, to cut off echoes at the noise floor.
    align : bool
        Whether frames are aligned to the last one first; those that cannot be are left out.

    Returns
    -------
    FittedMap

    Raises
    ------
    UsageError, ReadError, GeometryError, IntensityError, MaskError
        If the series cannot be read or fitted.
    """
    if method not in KINDS:
        msg = f"There is no method {method!r}, expected one of {', '.join(KINDS)}."
        raise UsageError(msg, field="method")
    series = read_series(source, kind=KINDS[method], times_ms=times_ms, sidecar=sidecar)
    images, notes = series.images, tuple[str, ...]()
    if align:
        aligned = register_series(images, series.affine, settings=RegistrationSettings(contrast="different"))
        kept = [n for n in range(images.shape[-1]) if n not in aligned.failed]
        images, notes = np.asarray(aligned.images, dtype=np.float64)[..., kept], aligned.reasons
        series = replace(series, images=images, times_ms=series.times_ms[kept])
    values, residual, reasons = _fit(images, series, method, min_signal, noise_sd)

    def on_grid(array: NDArray[Any]) -> Image:
        return Image(array, series.affine, series.oriented)

    counts = {words: n for words, n in count_reasons(reasons).items() if n}
    return FittedMap(
        on_grid(values), on_grid(residual), on_grid(reasons), tuple(series.times_ms.tolist()), counts, notes
    )


def align_maps(fixed: str | Path, moving: str | Path, *, contrast: str, mask: LabelMap | None = None) -> Registration:
    """Align one map or image to another; on failure nothing is moved.

    Parameters
    ----------
    fixed, moving : str or Path
        NIfTI files.
    contrast : {'same', 'different'}
        Whether the same tissue has the same grey value in both.
    mask : LabelMap, optional
        Regions of the heart on the fixed grid, which alone are compared with a margin.

    Returns
    -------
    Registration

    Raises
    ------
    CaseRefusedError
        If the mask is on another grid (``E_GEOMETRY``).
    """
    settings = parse_as(RegistrationSettings, {"contrast": contrast}, "registration")
    images = [_filled(read_map(path, sequence="t1_native").image) for path in (fixed, moving)]
    heart = None
    if mask is not None:
        mask = stored_like(mask, images[0])
        _refuse(check_grid(images[0], mask, tolerance_voxel=GRID_TOLERANCE_VOXEL, case="", field="mask"))
        heart = np.isin(mask.array, list(mask.labels.values()))
    return register(images[0], images[1], settings=settings, fixed_mask=heart)


def haematocrit_of_pct(haematocrit_pct: float) -> Haematocrit:
    """Return a measured haematocrit stated in %.

    Raises
    ------
    UsageError
        If no blood has such a haematocrit; 0.42 % is one.
    """
    low, high = (100.0 * limit for limit in HAEMATOCRIT)
    if not low <= haematocrit_pct <= high:
        msg = f"Haematocrit is {haematocrit_pct:g} %, expected {low:g} to {high:g} %."
        raise UsageError(msg, field="haematocrit_pct", hint="Give it in %: 42, not 0.42.")
    return Haematocrit(haematocrit_pct / 100.0)


def ecv_from_maps(
    native: str | Path,
    post: str | Path,
    mask: LabelMap,
    *,
    haematocrit: Haematocrit,
    unit: str | None = None,
    align: bool = True,
) -> tuple[Image, EcvMap]:
    """Compute an ECV map from two T1 maps.

    Parameters
    ----------
    native, post : str or Path
        T1 maps before and after contrast agent, NIfTI or DICOM.
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium`` on the grid of the native map.
    haematocrit : Haematocrit
        Measured, or synthetic with its calibration.
    unit : str, optional
        Unit of both maps; without it the values must prove ms.
    align : bool
        Whether the post-contrast map is aligned to the native one first.

    Returns
    -------
    Image
        ECV [%] on the grid of the mask; 0 where there is none.
    EcvMap
        With blood values and haematocrit.

    Raises
    ------
    GeometryError
        If the maps could not be aligned, or their grids differ and were not to be aligned.
    CaseRefusedError
        If a map is not in ms.
    MaskError
        If the blood pool is too small.
    """
    settings = _map_settings("ecv")
    one = load_map(native, mask, sequence="t1_native", unit=unit)
    after = stored_like(_converted(post, "t1_post", unit), one)
    if align:
        heart = np.isin(mask.array, list(mask.labels.values()))
        found = register(
            _filled(one), _filled(after), settings=RegistrationSettings(contrast="different"), fixed_mask=heart
        )
        if not found.succeeded:
            msg = f"The post-contrast map could not be aligned to the native one: {'; '.join(found.reasons)}."
            raise GeometryError(msg, field="t1_post", hint=UNALIGNED)
        after = found.moved
    _refuse(check_grid(one, after, tolerance_voxel=GRID_TOLERANCE_VOXEL, case="", field="t1_post"))
    blood = shared_blood_pool(
        one.array,
        after.array,
        mask.mask("lv_cavity"),
        spacing_mm=mask.spacing_mm[:2],
        erosion_mm=settings.blood_erosion_mm,
        min_voxels=settings.blood_min_voxels,
    )
    ecv = ecv_map(one.array, after.array, blood=blood.t1, haematocrit=haematocrit)
    return Image(np.where(ecv.quality, ecv.ecv_pct, 0.0), one.affine, one.oriented), ecv


def measure_map(
    source: str | Path, mask: LabelMap, *, sequence: str, unit: str | None = None
) -> tuple[MapMeasures, list[Issue]]:
    """Measure one map: global, septal, per segment.

    Parameters
    ----------
    source : str or Path
        NIfTI file, or DICOM.
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` and ``rv_cavity`` on its grid.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2`` or ``ecv``.
    unit : str, optional
        Unit of the values; without it they must prove ms or %.

    Returns
    -------
    MapMeasures
        With the margins of the shipped specification.
    list of Issue
        Warnings.

    Raises
    ------
    CaseRefusedError
        If the map is in another unit, or holds impossible values.
    """
    settings = _map_settings(sequence)
    image = load_map(source, mask, sequence=sequence, unit=unit)
    issues = check_units(image, mask, sequence=sequence, declared_unit=None, case="", field=f"{sequence}.image")
    _refuse(issues)
    case = Case("", {(sequence, STILL): image}, {(sequence, STILL): mask})
    found = measure_maps(case, settings)
    return found, [*issues, *found.issues]


def read_mask(path: str | Path, labels: str) -> LabelMap:
    """Read a label map whose numbers are stated as ``lv_cavity=3;lv_myocardium=2;rv_cavity=1``."""
    return read_label_map(Path(path), parse_labels(labels, case=""), case="", field="mask")


def load_map(source: str | Path, mask: LabelMap, *, sequence: str, unit: str | None) -> Image:
    """Read a map in ms or % that lies on the grid of a mask.

    Raises
    ------
    CaseRefusedError
        If the grids differ (``E_GEOMETRY``).
    """
    image = stored_like(_converted(source, sequence, unit), mask)
    _refuse(check_grid(image, mask, tolerance_voxel=GRID_TOLERANCE_VOXEL, case="", field="mask"))
    return image


def named_values(values: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return measurements with name, unit and meaning, for a table."""
    return [
        {"column": column, "name": info.name, "value": values[column], "unit": info.unit, "meaning": info.meaning}
        for column, info in MAP_COLUMNS.items()
        if column in values
    ]


def write_fitted(found: FittedMap, path: Path) -> list[Path]:
    """Write a fitted map, 0 where there is no fit, and beside it ``<name>_residual`` and ``<name>_reasons``."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    ending = path.name[len(stem) :]
    paths = [path, path.with_name(f"{stem}_residual{ending}"), path.with_name(f"{stem}_reasons{ending}")]
    for image, target in zip((found.image, found.residual, found.reasons), paths, strict=True):
        write_map(_filled(image), target)
    return paths


def _fit(
    images: NDArray[Any], series: RawSeries, method: str, min_signal: float, noise_sd: float | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    times = series.times_ms
    if method == "molli":
        t1 = fit_molli(images, times, min_signal=min_signal)
        return t1.t1_ms, t1.residual_rel, t1.reasons
    if method in {"sasha-2", "sasha-3"}:
        t1 = fit_sasha(images, times, n_parameters=2 if method == "sasha-2" else 3, min_signal=min_signal)
        return t1.t1_ms, t1.residual_rel, t1.reasons
    if method == "t2-star":
        star = fit_t2_star(images, times, noise_sd=noise_sd, min_signal=min_signal)
        return star.t2_star_ms, star.residual_rel, star.reasons
    t2 = fit_t2(
        images,
        times,
        with_offset=method == "t2-prepared-offset",
        drop_first=method == "spin-echo",
        min_signal=min_signal,
    )
    return t2.t2_ms, t2.residual_rel, t2.reasons


def _filled(image: Image) -> Image:
    """Return a map with 0 where it holds no value, as outside of what was fitted."""
    return Image(np.nan_to_num(image.array, posinf=0.0, neginf=0.0), image.affine, image.oriented)


def _converted(source: str | Path, sequence: str, unit: str | None) -> Image:
    found = read_map(source, sequence=sequence, unit=cast("Unit | None", unit))
    return convert_units(found.image, from_unit=found.unit, sequence=sequence) if found.unit else found.image


def _map_settings(sequence: str) -> MapSettings:
    """Return the margins of the shipped specification, for one sequence alone."""
    shipped = read_spec(SPECS.get(sequence, "t1_map")).maps
    if shipped is None:
        raise AssertionError(sequence)
    return shipped.model_copy(update={"sequences": (sequence,)})


def _refuse(issues: Sequence[Issue]) -> None:
    if any(issue.severity == "refuse" for issue in issues):
        raise CaseRefusedError(tuple(issues))
