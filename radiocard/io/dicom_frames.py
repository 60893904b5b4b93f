"""One DICOM file to its frames: grey values in their unit, place in the patient, times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from radiocard.errors import CaseError
from radiocard.image import FloatArray
from radiocard.io.dicom_guard import Stored, malformed, silent_parser
from radiocard.io.nifti_header import Where

FrameKind = Literal["magnitude", "phase", "real", "imaginary", ""]

_AXES_TOLERANCE = 1e-3
_MAX_FIELD_T = 25.0
_KINDS: MappingProxyType[str, FrameKind] = MappingProxyType(
    {
        "M": "magnitude",
        "MAGNITUDE": "magnitude",
        "P": "phase",
        "PHASE": "phase",
        "PHASE MAP": "phase",
        "R": "real",
        "REAL": "real",
        "I": "imaginary",
        "IMAGINARY": "imaginary",
    }
)
_UCUM = MappingProxyType({"ms": "ms", "s": "s", "%": "pct"})
_RESCALE_TYPES = MappingProxyType({"ms": "ms", "msec": "ms", "sec": "s", "pct": "pct", "%": "pct"})
_VENDORS = MappingProxyType(
    {
        "siemens": "Siemens",
        "ge ": "GE",
        "philips": "Philips",
        "canon": "Canon",
        "toshiba": "Canon",
        "uih": "United Imaging",
        "united imaging": "United Imaging",
    }
)
_HINT = "Export the series again from the archive."


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice as DICOM places it.

    Parameters
    ----------
    values : ndarray of float, shape (ni, nj)
        Grey values, mapped to the real world where the file says how; ``i`` runs along a row.
    unit : str or None
        ``ms``, ``s`` or ``pct``, where the file states it.
    position_mm : ndarray of float, shape (3,)
        Centre of the first pixel, in DICOM's LPS+ axes [mm].
    axes : ndarray of float, shape (3, 2)
        Directions of ``i`` and ``j``, LPS+.
    spacing_mm : tuple of float, length 2
        Distance between pixels along ``i`` and ``j`` [mm].
    thickness_mm : float or None
        Slice thickness; where it is absent, the stated spacing between slices [mm].
    kind : str
        ``magnitude``, ``phase``, ``real`` or ``imaginary``; empty if not stated.
    inversion_ms, echo_ms : float or None
        Inversion and echo time [ms].
    number : tuple of int, length 2
        Instance number and place in the file: the order of acquisition, where nothing else tells.
    series : str
        Identifier of the series, for comparison only.
    field_strength_t : float or None
        Field strength [T].
    vendor : str or None
        Maker of the scanner, by one name each.
    trigger_ms : float or None
        Time since the R wave [ms].
    """

    values: FloatArray
    unit: str | None
    position_mm: FloatArray
    axes: FloatArray
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    kind: FrameKind
    inversion_ms: float | None
    echo_ms: float | None
    number: tuple[int, int]
    series: str
    field_strength_t: float | None
    vendor: str | None
    trigger_ms: float | None

    @property
    def normal(self) -> FloatArray:
        """Direction through the slice, LPS+."""
        normal = np.cross(self.axes[:, 0], self.axes[:, 1])
        return np.asarray(normal / np.linalg.norm(normal))


def split_frames(stored: Stored, where: Where) -> list[Frame]:
    """Return the frames of one file, classic or enhanced.

    Parameters
    ----------
    stored : Stored
        As the guard returns it.
    where : Where
        For error messages.

    Raises
    ------
    ReadError
        ``E_DICOM``, if attributes are malformed, frames have no description of their own, or
        grey values are mapped in a way that is not read.
    GeometryError
        ``E_AFFINE``, if a frame has no place in the patient, or an impossible one.
    """
    try:
        with silent_parser():  # attributes are only parsed when asked for
            return _split(stored, where)
    except CaseError:
        raise
    except Exception as error:  # a parser of hostile bytes may raise anything
        raise malformed(error, where) from None


def _split(stored: Stored, where: Where) -> list[Frame]:
    groups = list(stored.dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if len(groups) != len(stored.pixels) and (groups or len(stored.pixels) > 1):
        message = f"The file holds {len(stored.pixels)} frames and describes {len(groups)} of them."
        raise where.error(message, "E_DICOM", "Expected single images or enhanced MR; export the series so.")
    shared = list(stored.dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    holders = [[group, *shared] for group in groups] or [[]]
    return [_frame(_Tags(stored.dataset, holder), stored.pixels[n], n, where) for n, holder in enumerate(holders)]


@dataclass(frozen=True)
class _Tags:
    """The attributes of one frame: its own functional groups, the shared ones, the file's."""

    dataset: Dataset
    groups: Sequence[Dataset]

    def items(self, sequence: str | None) -> list[Dataset]:
        for holder in (*self.groups, self.dataset):
            if sequence and holder.get(sequence):
                return list(holder[sequence].value)
        return []

    def get(self, keyword: str, sequence: str | None = None) -> Any:
        for item in self.items(sequence):
            if item.get(keyword) is not None:
                return item[keyword].value
        return self.dataset.get(keyword)

    def number(self, keyword: str, sequence: str | None = None) -> float | None:
        numbers = self.numbers(keyword, sequence)
        return numbers[0] if len(numbers) == 1 else None

    def numbers(self, keyword: str, sequence: str | None = None) -> list[float]:
        """Return the finite numbers of an attribute; unused entries are stored as the largest double."""
        value = self.get(keyword, sequence)
        values = [] if value is None else [float(v) for v in np.atleast_1d(np.asarray(value, dtype=float))]
        return [v for v in values if math.isfinite(v) and abs(v) < 1e30]


def _frame(tags: _Tags, pixels: NDArray[Any], index: int, where: Where) -> Frame:
    values, unit = _real_world(tags, pixels, where)
    position, axes, spacing = _place(tags, where)
    measures = ("SliceThickness", "SpacingBetweenSlices")
    thickness = [tags.number(name, "PixelMeasuresSequence") for name in measures]
    field = tags.number("MagneticFieldStrength")
    echo = tags.number("EffectiveEchoTime", "MREchoSequence")
    inversion = tags.number("InversionTimes", "MRModifierSequence")
    trigger = tags.number("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence")
    return Frame(
        values=values.T,
        unit=unit,
        position_mm=position,
        axes=axes,
        spacing_mm=spacing,
        thickness_mm=next((t for t in thickness if t is not None and t > 0), None),
        kind=_kind(tags),
        inversion_ms=tags.number("InversionTime") if inversion is None else inversion,
        echo_ms=tags.number("EchoTime") if echo is None else echo,
        number=(int(tags.number("InstanceNumber") or 0), index),
        series=str(tags.dataset.get("SeriesInstanceUID") or ""),
        field_strength_t=field if field is not None and 0 < field <= _MAX_FIELD_T else None,
        vendor=_vendor(str(tags.dataset.get("Manufacturer") or "")),
        trigger_ms=tags.number("TriggerTime") if trigger is None else trigger,
    )


def _place(tags: _Tags, where: Where) -> tuple[FloatArray, FloatArray, tuple[float, float]]:
    position = np.array(tags.numbers("ImagePositionPatient", "PlanePositionSequence"))
    orientation = np.array(tags.numbers("ImageOrientationPatient", "PlaneOrientationSequence"))
    spacing = tags.numbers("PixelSpacing", "PixelMeasuresSequence")
    if position.shape != (3,) or orientation.shape != (6,) or len(spacing) != 2:
        message = "The image does not state its position, orientation and pixel spacing in the patient."
        raise where.error(message, "E_AFFINE", "Export the original images, not screen captures.")
    axes = orientation.reshape(2, 3).T
    if not np.abs(axes.T @ axes - np.eye(2)).max() <= _AXES_TOLERANCE:
        message = "The directions of rows and columns are not two perpendicular unit vectors."
        raise where.error(message, "E_AFFINE", _HINT)
    if not min(spacing) > _AXES_TOLERANCE:
        message = f"The pixel spacing is {spacing[0]:g} x {spacing[1]:g} mm, expected positive numbers."
        raise where.error(message, "E_AFFINE", _HINT)
    axes = axes / np.linalg.norm(axes, axis=0)
    return position, axes, (spacing[1], spacing[0])  # the first number is the distance between rows


def _kind(tags: _Tags) -> FrameKind:
    component = tags.get("ComplexImageComponent", "MRImageFrameTypeSequence")
    image_type = tags.get("FrameType", "MRImageFrameTypeSequence") or tags.dataset.get("ImageType") or []
    image_type = [image_type] if isinstance(image_type, str) else list(image_type)
    words = [str(w).strip().upper() for w in (component, *image_type[2:]) if w]
    return next((_KINDS[word] for word in words if word in _KINDS), "")


def _vendor(manufacturer: str) -> str | None:
    words = " ".join(manufacturer.lower().split()) + " "
    return next((name for start, name in _VENDORS.items() if words.startswith(start)), None)


def _real_world(tags: _Tags, pixels: NDArray[Any], where: Where) -> tuple[FloatArray, str | None]:
    """Map stored to real-world values; a mapping with a unit stands before rescale slope and intercept."""
    mappings = [(item, unit) for item in tags.items("RealWorldValueMappingSequence") if (unit := _ucum(item))]
    if len(mappings) > 1:
        message = f"The file maps its grey values in {len(mappings)} ways, expected one."
        raise where.error(message, "E_DICOM", "Export the map as NIfTI, with its unit.")
    if tags.items("ModalityLUTSequence") or any("RealWorldValueLUTData" in item for item, _ in mappings):
        message = "The file maps its grey values through a table, expected slope and intercept."
        raise where.error(message, "E_DICOM", "Export the map as NIfTI, with its unit.")
    group = "PixelValueTransformationSequence"
    if mappings:
        item, unit = mappings[0]
        values = _linear(pixels, item.get("RealWorldValueSlope"), item.get("RealWorldValueIntercept"), where)
        return np.where(_is_mapped(item, pixels), values, np.nan), unit
    slope, intercept = tags.get("RescaleSlope", group), tags.get("RescaleIntercept", group)
    stated = _RESCALE_TYPES.get(str(tags.get("RescaleType", group) or "").strip().lower())
    values = _linear(pixels, 1 if slope is None else slope, 0 if intercept is None else intercept, where)
    return values, stated


def _ucum(item: Dataset) -> str | None:
    for code in item.get("MeasurementUnitsCodeSequence") or []:
        if code.get("CodingSchemeDesignator") == "UCUM":
            return _UCUM.get(str(code.get("CodeValue", "")))
    return None


def _is_mapped(item: Dataset, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    inside = np.ones(pixels.shape, bool)
    for ends, beyond in (("First", np.less), ("Last", np.greater)):
        for name in (f"DoubleFloatRealWorldValue{ends}ValueMapped", f"RealWorldValue{ends}ValueMapped"):
            if item.get(name) is not None:
                inside &= ~beyond(pixels, float(item[name].value))
                break
    return inside


def _linear(pixels: NDArray[Any], slope: Any, intercept: Any, where: Where) -> FloatArray:
    slope, intercept = (math.nan if v is None else float(v) for v in (slope, intercept))
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        message = f"The file scales grey values by {slope:g} plus {intercept:g}."
        raise where.error(message, "E_DICOM", _HINT)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(pixels * np.float64(slope) + np.float64(intercept))
