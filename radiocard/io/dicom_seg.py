"""A mask as a DICOM segmentation of the series that it was drawn on (extra ``dicom``).

The object belongs to the study of its source, so it carries what DICOM requires of that study: the
patient's name, identifier, birth date and sex, and the identifiers and date of the study, exactly as
the source series has them. Nothing else that identifies a person is written: de-identify the series
first where the segmentation leaves the hospital.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from radiocard.errors import GeometryError, MaskError, MissingExtraError, UsageError
from radiocard.image import REGIONS, Image, LabelMap, corner_displacement, stored_like
from radiocard.io.atomic import write_bytes
from radiocard.io.dicom import read_frames, series_files, stack_slices
from radiocard.io.dicom_frames import Frame
from radiocard.io.dicom_guard import malformed, silent_parser
from radiocard.io.dicom_image import sort_cine
from radiocard.io.nifti_header import Where, times

Dataset = pydicom.Dataset

TOLERANCE_VOXEL = 0.01  # positions are decimal texts in DICOM
# label, SNOMED CT code and its meaning; a cavity has the concept of its ventricle
CONCEPTS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "lv_cavity": ("LV cavity", "87878005", "Left ventricle"),
        "lv_myocardium": ("LV myocardium", "49848007", "Left ventricle myocardium"),
        "rv_cavity": ("RV cavity", "53085002", "Right ventricle"),
    }
)
_STRUCTURE = ("91723000", "Anatomical Structure")
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (
    "AccessionNumber", "PatientBirthDate", "PatientID", "PatientName", "PatientSex", "ReferringPhysicianName",
    "StudyDate", "StudyID", "StudyTime",
)  # fmt: skip
_GRID_HINT = "Give the series that the mask was drawn on; radiocard does not resample unasked."


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What made the mask.

    Parameters
    ----------
    name, version : str
        For example the name and the digest of a network.
    """

    name: str
    version: str


def write_seg(
    mask: LabelMap, series: str | Path, path: str | Path, *, algorithm: Algorithm, case: str, frame: int | None = None
) -> tuple[str, ...]:
    """Write a mask as a DICOM segmentation that refers to its source images.

    Parameters
    ----------
    mask : LabelMap
        On the grid of the series; axes may be flipped or in another order.
    series : str or Path
        Folder with the files of one series, one image per file.
    path : str or Path
        The file to write. The same input gives the same identifiers.
    algorithm : Algorithm
        Stands in each segment, as automatic.
    case : str
        Pseudonym, for error messages; it is not written.
    frame : int, optional
        Zero-based cardiac frame that the mask belongs to, where the series holds several images at each
        position: by trigger time, else by instance number.

    Returns
    -------
    tuple of str
        The regions that were written, in the order of the segments; a region without voxels is not.

    Raises
    ------
    MissingExtraError
        If highdicom is not installed.
    ReadError
        As :func:`radiocard.io.dicom.read_frames`; ``E_DICOM``, if the series lacks what a segmentation
        must refer to; ``E_SERIES``, if positions hold different numbers of images.
    GeometryError
        If the mask is not on the grid of the series.
    MaskError
        If no region has a voxel.
    UsageError
        If the frame does not exist, or is not stated though there are several.
    OutputError
        If the file cannot be written.
    """
    hd = _highdicom()
    where = Where(case, "series")
    frames, sources = _read_series(Path(series), where)
    chosen = _at_frame(frames, frame, where)
    codes = _on_grid(mask, Image(*stack_slices([frames[n] for n in chosen], where)), where)
    present = tuple(r for r in CONCEPTS if r in mask.labels and (codes == mask.labels[r]).any())
    if not present:
        msg = f"The mask holds none of the regions {', '.join(REGIONS)}."
        raise MaskError(msg, case=case, field="mask")
    pixels = np.zeros(codes.shape, dtype=np.uint8)
    for number, region in enumerate(present, start=1):
        pixels[codes == mask.labels[region]] = number
    images = [sources[n] for n in chosen]
    try:
        with silent_parser():
            seg = _segmentation(hd, images, pixels.transpose(2, 1, 0), present, algorithm, frame)
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise malformed(error, where) from None
    stream = io.BytesIO()
    seg.save_as(stream)
    write_bytes(stream.getvalue(), path)
    return present


def _highdicom() -> Any:
    try:
        import highdicom
    except ImportError as error:
        msg = f"A DICOM segmentation needs highdicom: {error}."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[dicom]'") from None
    return highdicom


def _read_series(folder: Path, where: Where) -> tuple[list[Frame], list[Dataset]]:
    frames = read_frames(folder, where)
    files = series_files(folder, where) if folder.is_dir() else [folder]
    if len(files) != len(frames):
        message = f"The series holds {len(frames)} images in {len(files)} files, expected one image per file."
        raise where.error(message, "E_DICOM", "Enhanced multi-frame images are not segmented yet.")
    with silent_parser():
        sources = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    for source in sources:
        absent = [name for name in _NEEDED if not source.get(name)]
        if absent:
            message = f"The images lack {', '.join(absent)}, which a segmentation must refer to."
            raise where.error(message, "E_DICOM", "Export the original series.")
        for name in _MAY_BE_EMPTY:
            if name not in source:
                setattr(source, name, "")  # the standard asks for the attribute, not for a value
    return frames, list[Dataset](sources)


def _at_frame(frames: Sequence[Frame], frame: int | None, where: Where) -> list[int]:
    """Return the number of the image of one cardiac frame at each position, in the order of the slices."""
    index = {id(image): n for n, image in enumerate(frames)}
    moments = sort_cine(frames, where)
    if frame is None and len(moments) > 1:
        msg = f"The series holds {len(moments)} images at each position; state the frame that the mask belongs to."
        raise UsageError(msg, case=where.case, field="frame")
    if frame is not None and not 0 <= frame < len(moments):
        msg = f"Frame is {frame}, expected 0 to {len(moments) - 1}."
        raise UsageError(msg, case=where.case, field="frame")
    return [index[id(image)] for image in moments[frame or 0]]


def _on_grid(mask: LabelMap, series: Image, where: Where) -> NDArray[Any]:
    """Return the labels on the grid of the series: its axes, its directions."""
    shape, found = series.array.shape, stored_like(mask, series)
    if found.array.shape != shape:
        raise _off_grid(mask, shape, "sizes differ", where)
    apart = corner_displacement(series.affine, found.affine, shape)
    if apart > TOLERANCE_VOXEL:
        raise _off_grid(mask, shape, f"corners are {apart:.3g} voxels apart", where)
    return found.array


def _off_grid(mask: LabelMap, shape: tuple[int, ...], what: str, where: Where) -> GeometryError:
    message = f"The mask ({times(mask.array.shape)}) is not on the grid of the series ({times(shape)}): {what}."
    return GeometryError(message, case=where.case, field="mask", hint=_GRID_HINT)


def _segmentation(
    hd: Any,
    images: Sequence[Dataset],
    pixels: NDArray[np.uint8],
    regions: Sequence[str],
    algorithm: Algorithm,
    frame: int | None,
) -> Dataset:
    uids = [str(image.SOPInstanceUID) for image in images]
    digest = [*uids, hashlib.sha256(pixels.tobytes()).hexdigest(), *regions, algorithm.name, algorithm.version]
    release = version("radiocard")
    seg = hd.seg.Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(pixels),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(hd, regions, algorithm),
        series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["series", *digest]),
        series_number=1000 + int(images[0].get("SeriesNumber") or 0),
        sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["instance", *digest]),
        instance_number=1 + (frame or 0),
        manufacturer="radiocard",
        manufacturer_model_name="radiocard",
        software_versions=release,
        device_serial_number=release,
        series_description="Heart segmentation",
        content_label="HEART",
    )
    if "ContributingEquipmentSequence" in seg:  # names the hospital and the scanner of the source
        del seg.ContributingEquipmentSequence
    return seg


def _descriptions(hd: Any, regions: Sequence[str], algorithm: Algorithm) -> list[Any]:
    Code = hd.sr.CodedConcept
    family = Code("123110", "DCM", "Artificial Intelligence")
    used = hd.AlgorithmIdentificationSequence(algorithm.name, family, algorithm.version)
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=CONCEPTS[region][0],
            segmented_property_category=Code(_STRUCTURE[0], "SCT", _STRUCTURE[1]),
            segmented_property_type=Code(CONCEPTS[region][1], "SCT", CONCEPTS[region][2]),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=used,
        )
        for number, region in enumerate(regions, start=1)
    ]
