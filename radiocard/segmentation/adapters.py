"""Masks that other programs made: MONAI's short-axis bundle, nnU-Net, TotalSegmentator, any stated convention.

What a number means is stated by the program's own documentation or files, or by the user; never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from radiocard.checks.anatomy import check_anatomy
from radiocard.checks.case import check_grid
from radiocard.errors import CohortError, GeometryError, MaskError, ReadError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, REGIONS, Image, Key, LabelMap, stored_like
from radiocard.io.case_ref import CaseRef, role_of
from radiocard.io.labels import parse_labels
from radiocard.io.nifti import read_label_map

LABELS_MONAI = LABELS_MNMS
"""MONAI's ``ventricular_short_axis_3label`` [1]_: 1 LV pool, 2 myocardium, 3 RV pool.

.. [1] ``network_data_format.outputs`` in the bundle's ``configs/metadata.json``, version 0.3.5
"""

LABELS_TOTALSEGMENTATOR: Mapping[str, int] = MappingProxyType({"lv_myocardium": 1, "lv_cavity": 3, "rv_cavity": 5})
"""Multi-label file of TotalSegmentator's task ``heartchambers_highres``, which is for CT."""

TOTALSEGMENTATOR = "TotalSegmentator heartchambers_highres"

STRUCTURES: Mapping[str, str] = MappingProxyType(
    {
        "lv_myocardium": "heart_myocardium",
        "lv_cavity": "heart_ventricle_left",
        "rv_cavity": "heart_ventricle_right",
    }
)
"""Files of TotalSegmentator's task ``heartchambers_highres``, one per structure."""

NNUNET_NAMES: Mapping[str, str] = MappingProxyType(
    {**{r: r for r in REGIONS}, "RV": "rv_cavity", "MLV": "lv_myocardium", "LVC": "lv_cavity"}
)
"""Names in ``dataset.json`` that are understood: our own, and those of nnU-Net's conversion of ACDC."""

_TOLERANCE_VOXEL = 1e-3
_MAX_JSON = 1 << 20
_FIELDS = ("{patient}", "{phase}", "{image}")


@dataclass(frozen=True)
class MaskSource:
    """Where the masks of another program lie, and what their numbers mean.

    Parameters
    ----------
    folder : Path
        Holds the masks.
    pattern : str
        Path of one mask in the folder, with ``{patient}``, ``{phase}`` and ``{image}`` (the name of the
        image file without its ending and without nnU-Net's ``_0000``); a folder where there is one file
        per structure.
    labels : mapping of str to int
        Region to label number; empty where there is one file per structure.
    known : frozenset of int or None
        All numbers that a mask may hold; None where it may hold any.
    program : str
        What made the masks; empty where it is not known.
    """

    folder: Path
    pattern: str
    labels: Mapping[str, int]
    known: frozenset[int] | None = None
    program: str = ""

    def __post_init__(self) -> None:
        rest = self.pattern
        for field in _FIELDS:
            rest = rest.replace(field, "")
        if "{" in rest or "}" in rest or Path(self.pattern).is_absolute() or ".." in Path(self.pattern).parts:
            msg = f"The pattern is {self.pattern!r}, expected a path in the folder with {', '.join(_FIELDS)}."
            raise CohortError(msg, field="pattern")
        if not any(field in self.pattern for field in ("{patient}", "{image}")):
            msg = f"The pattern {self.pattern!r} names the same mask for every patient."
            raise CohortError(msg, field="pattern", hint="Use {patient} or {image}.")

    def path(self, ref: CaseRef, key: Key) -> Path:
        """Return where the mask of one image lies."""
        stem = re.sub(r"(_0000)?(\.nii)?(\.gz)?$", "", ref.files[key].image.name)
        found = self.pattern.replace("{patient}", ref.patient_id).replace("{phase}", key[1]).replace("{image}", stem)
        return self.folder / found


def stated_masks(folder: str | Path, *, labels: str, pattern: str) -> MaskSource:
    """Describe masks whose convention the user states.

    Parameters
    ----------
    folder : str or Path
        Holds the masks.
    labels : str
        ``acdc``, ``mnms``, or pairs such as ``lv_cavity=3;lv_myocardium=2;rv_cavity=1``.
    pattern : str
        See :class:`MaskSource`.

    Raises
    ------
    CohortError
        If the labels or the pattern are not understood, or a region has no number.
    """
    return MaskSource(Path(folder), pattern, _whole(parse_labels(labels, case=""), "labels"))


def monai_masks(folder: str | Path, *, pattern: str) -> MaskSource:
    """Describe masks of MONAI's bundle ``ventricular_short_axis_3label``; see :data:`LABELS_MONAI`."""
    return MaskSource(Path(folder), pattern, LABELS_MONAI, frozenset(range(4)), "MONAI ventricular_short_axis_3label")


def nnunet_masks(folder: str | Path, *, names: Mapping[str, str] | None = None) -> MaskSource:
    """Describe a folder of nnU-Net's predictions: ``dataset.json`` and ``<case>.nii.gz``.

    Parameters
    ----------
    folder : str or Path
        As ``nnUNetv2_predict`` writes it. Cases are named as the images were, without ``_0000``.
    names : mapping of str to str, optional
        Name in ``dataset.json`` to region; :data:`NNUNET_NAMES` when None.

    Raises
    ------
    CohortError
        If there is no ``dataset.json``, it does not hold labels, or a region has no name in it.
    """
    folder = Path(folder)
    stated, ending = _dataset_json(folder / "dataset.json")
    regions = NNUNET_NAMES if names is None else names
    labels = {regions[name]: number for name, number in stated.items() if name in regions}
    absent = [region for region in REGIONS if region not in labels]
    if absent:
        msg = f"dataset.json names {', '.join(stated) or 'no label'}; none of them is known as {', '.join(absent)}."
        raise CohortError(msg, field="labels", hint="Give names, for example {'LV': 'lv_cavity'}.")
    return MaskSource(folder, "{image}" + ending, labels, frozenset({0, *stated.values()}), "nnU-Net")


def totalsegmentator_masks(folder: str | Path, *, pattern: str, multilabel: bool) -> MaskSource:
    """Describe masks of TotalSegmentator's task ``heartchambers_highres``.

    That task was trained on CT: its masks of cine MR are to be distrusted until they are measured.

    Parameters
    ----------
    folder : str or Path
        Holds the masks.
    pattern : str
        The multi-label file, or the folder with one file per structure (:data:`STRUCTURES`).
    multilabel : bool
        Which of the two.
    """
    if multilabel:
        return MaskSource(Path(folder), pattern, LABELS_TOTALSEGMENTATOR, frozenset(range(8)), TOTALSEGMENTATOR)
    return MaskSource(Path(folder), pattern, {}, None, TOTALSEGMENTATOR)


def read_mask(source: MaskSource, ref: CaseRef, key: Key, image: Image) -> LabelMap:
    """Read the mask of one image and refuse what cannot be one.

    Parameters
    ----------
    source : MaskSource
        Where it lies.
    ref : CaseRef
        Patient.
    key : tuple of str
        Sequence and phase.
    image : Image
        The image that the mask belongs to.

    Returns
    -------
    LabelMap
        Our three regions with :data:`radiocard.image.LABELS_ACDC`; everything else is background.

    Raises
    ------
    ReadError
        If the mask, or the file of a structure, does not exist or cannot be read.
    GeometryError
        If it is on another grid than the image.
    MaskError
        If its values are not whole numbers or not among those that were stated, a region is empty,
        two structures overlap, or the regions contradict anatomy.
    """
    case, field = ref.patient_id, f"{role_of(key)}.mask"
    frame, path = ref.files[key].frame, source.path(ref, key)
    if source.labels:
        mask = _read(path, source.labels, case, field, frame)
        _check_known(mask, source, case, field)
        codes = np.zeros(mask.array.shape, dtype=np.uint8)
        for region in REGIONS:
            codes[mask.mask(region)] = LABELS_ACDC[region]
        mask = replace(mask, array=codes, labels=LABELS_ACDC)
    else:
        mask = _joined(path, case, field, frame)
    mask = stored_like(mask, image)
    for issue in check_grid(image, mask, tolerance_voxel=_TOLERANCE_VOXEL, case=case, field=field):
        raise GeometryError(issue.message, case=case, field=field, hint=issue.hint)
    for issue in check_anatomy(mask, case=case, field=field):
        raise MaskError(issue.message, code=issue.code, case=case, field=field, hint=issue.hint)
    return mask


def _read(path: Path, labels: Mapping[str, int], case: str, field: str, frame: int | None) -> LabelMap:
    if not path.is_file():
        msg = f"There is no mask {path.name!r}."
        raise ReadError(msg, code="E_MISSING", case=case, field=field, hint="Check the folder and the pattern.")
    return read_label_map(path, labels, case=case, field=field, frame=frame)


def _check_known(mask: LabelMap, source: MaskSource, case: str, field: str) -> None:
    if source.known is None:
        return
    other = sorted(set(np.unique(mask.array).tolist()) - source.known)
    if other:
        msg = f"The mask holds the numbers {', '.join(map(str, other[:6]))}, expected {_listed(source.known)}."
        raise MaskError(msg, code="E_LABELS", case=case, field=field, hint="Check which program made the mask.")


def _joined(folder: Path, case: str, field: str, frame: int | None) -> LabelMap:
    """Join one file per structure."""
    parts = {r: _read(folder / f"{name}.nii.gz", {r: 1}, case, field, frame) for r, name in STRUCTURES.items()}
    first = parts["lv_myocardium"]
    codes = np.zeros(first.array.shape, dtype=np.uint8)
    for region, part in parts.items():
        name = STRUCTURES[region]
        for issue in check_grid(first, part, tolerance_voxel=_TOLERANCE_VOXEL, case=case, field=field):
            raise GeometryError(issue.message, case=case, field=field, hint="All structures must be on one grid.")
        inside = part.mask(region)
        if part.array.max() > 1:
            msg = f"The file of {name} holds numbers up to {part.array.max()}, expected 0 and 1."
            raise MaskError(msg, code="E_LABELS", case=case, field=field)
        shared = int((inside & (codes > 0)).sum())
        if shared:
            msg = f"{shared} voxels of {name} belong to another structure too."
            raise MaskError(msg, code="E_LABELS", case=case, field=field)
        codes[inside] = LABELS_ACDC[region]
    return replace(first, array=codes, labels=LABELS_ACDC)


def _dataset_json(path: Path) -> tuple[dict[str, int], str]:
    """Return label names and numbers, and the ending of the files."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_JSON + 1)
        data = json.loads(text) if len(text) <= _MAX_JSON else None
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path.name} cannot be read: {type(error).__name__}."
        raise CohortError(msg, hint="nnU-Net writes it beside its predictions.") from None
    if len(text) > _MAX_JSON:
        msg = f"{path.name} is larger than {_MAX_JSON} bytes."
        raise CohortError(msg)
    labels = data.get("labels") if isinstance(data, dict) else None
    ending = data.get("file_ending", ".nii.gz") if isinstance(data, dict) else ""
    if not isinstance(labels, dict) or not all(_is_number(v) for v in labels.values()):
        msg = f"{path.name} does not give each label one number."
        raise CohortError(
            msg, field="labels", hint="Labels of several numbers (regions) and of nnU-Net 1 are not read."
        )
    if ending not in (".nii.gz", ".nii"):
        msg = f"{path.name} gives the file ending {ending!r}, expected .nii.gz or .nii."
        raise CohortError(msg, field="file_ending")
    return {str(k): v for k, v in labels.items() if v != 0}, ending


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _whole(labels: Mapping[str, int], field: str) -> Mapping[str, int]:
    absent = [region for region in REGIONS if region not in labels]
    if absent:
        msg = f"The labels give no number for {', '.join(absent)}."
        raise CohortError(msg, field=field)
    return {region: labels[region] for region in REGIONS}


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
