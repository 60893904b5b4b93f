"""Is one case what it claims to be: phases, grids, grey values, regions, anatomy, slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from radiocard.checks.anatomy import check_anatomy, crop_to_labels
from radiocard.checks.units import check_units
from radiocard.errors import Issue
from radiocard.image import MAPS, REGION_NAMES, STILL, Case, Image, LabelMap, corner_displacement
from radiocard.specs import FeatureSpec

MIN_SLICES = 3  # basal, mid and apical level of the 16 segments
_CONNECT_26 = ndimage.generate_binary_structure(3, 3)


def check_case(case: Case, spec: FeatureSpec) -> list[Issue]:
    """Check one case against what a specification needs; nothing is changed or repaired.

    Parameters
    ----------
    case : Case
        Images and masks as read.
    spec : FeatureSpec
        Its sequence, phases, regions, ``roi`` and ``checks`` apply.

    Returns
    -------
    list of Issue
        Refusing: ``E_PHASE``, ``E_GEOMETRY``, ``E_NONFINITE``, ``E_EMPTY_ROI``,
        ``E_ROI_SIZE``, ``E_LABEL_ANATOMY``, and for maps those of
        :func:`radiocard.checks.units.check_units`. Warning: ``W_COMPONENTS``, ``W_SLICES``,
        ``W_PHASE`` where both phases are the same image, ``W_MASK_WARN`` and ``W_MASK_ASK`` where a
        network drew the masks and doubts them.
    """
    issues: list[Issue] = []
    for key in _keys(case, spec):
        role = "_".join(filter(None, key))
        image, mask = case.images.get(key), case.masks.get(key)
        if image is None or mask is None:
            part = "image" if image is None else "mask"
            needed = " and ".join("_".join(filter(None, k)) for k in spec.keys)
            hint = f"The specification {spec.name!r} needs {needed}."
            issues.append(Issue("E_PHASE", f"There is no {part} of {role}.", case.patient_id, role, hint))
            continue
        issues += _check_phase(image, mask, spec, case.patient_id, role)
        if key[0] in MAPS and not any(i.severity == "refuse" and i.field and i.field.startswith(role) for i in issues):
            issues += check_units(
                image, mask, sequence=key[0], declared_unit=None, case=case.patient_id, field=f"{role}.image"
            )
    return issues + _same_image(case, spec) + _doubted_mask(case)


def check_grid(image: Image, mask: Image, *, tolerance_voxel: float, case: str, field: str) -> list[Issue]:
    """Check that a mask lies on the grid of its image.

    Parameters
    ----------
    image, mask : Image
        The two grids.
    tolerance_voxel : float
        Largest distance between their corner voxels, in voxels of the image.
    case, field : str
        For the message.

    Returns
    -------
    list of Issue
        One ``E_GEOMETRY`` that prints both grids, or none.
    """
    hint = "Check that the mask was drawn on this series; radiocard does not resample unasked."
    if image.array.shape != mask.array.shape:
        return [Issue("E_GEOMETRY", f"Image and mask differ in size: {_grids(image, mask)}.", case, field, hint)]
    apart = corner_displacement(image.affine, mask.affine, image.array.shape)
    if apart <= tolerance_voxel:
        return []
    message = (
        f"Image and mask are on different grids: their corners are {apart:.3g} voxels apart, "
        f"expected at most {tolerance_voxel:g}: {_grids(image, mask)}."
    )
    return [Issue("E_GEOMETRY", message, case, field, hint)]


def _keys(case: Case, spec: FeatureSpec) -> list[tuple[str, str]]:
    """Return what the specification describes, and the other maps it measures where the case has them."""
    measured = spec.maps.sequences if spec.maps else ()
    others = [(name, STILL) for name in measured if name != spec.sequence and (name, STILL) in case.images]
    return [*spec.keys, *others]


def _check_phase(image: Image, mask: LabelMap, spec: FeatureSpec, case: str, role: str) -> list[Issue]:
    field = f"{role}.mask"
    issues = check_grid(image, mask, tolerance_voxel=spec.checks.grid_tolerance_voxel, case=case, field=field)
    if issues:
        return issues
    issues += _nonfinite(image, mask, spec, case, role)
    issues += _regions(mask, spec, case, field)
    if not any(issue.code == "E_EMPTY_ROI" for issue in issues):
        issues += check_anatomy(mask, case=case, field=field)
    if not any(issue.severity == "refuse" for issue in issues):
        issues += _components(mask, spec, case, field)
        issues += _slices(mask, spec, case, field)
    return issues


def _nonfinite(image: Image, mask: LabelMap, spec: FeatureSpec, case: str, role: str) -> list[Issue]:
    if image.array.dtype.kind != "f":
        return []
    bad = ~np.isfinite(image.array)
    if not bad.any():
        return []
    counts = {r: int(bad[mask.array == mask.labels[r]].sum()) for r in spec.regions if r in mask.labels}
    everywhere = spec.normalisation.method != "none" and spec.normalisation.within == "image"
    if not any(counts.values()) and not everywhere:
        return []
    inside = ", ".join(f"{n} in {region}" for region, n in counts.items() if n) or "none in a region"
    message = f"{int(bad.sum())} voxels are NaN or infinite: {inside}."
    hint = "Check how the image was exported or corrected."
    return [Issue("E_NONFINITE", message, case, f"{role}.image", hint)]


def _regions(mask: LabelMap, spec: FeatureSpec, case: str, field: str) -> Iterator[Issue]:
    size = {label: int(n) for label, n in enumerate(np.bincount(mask.array.ravel(order="K"))) if n}
    for region in spec.regions:
        label = mask.labels.get(region)
        n = size.get(label, 0) if label is not None else 0
        if n == 0:
            stated = f"label {label}" if label is not None else "no label stated for it"
            message = f"{region} ({stated}) has no voxel; labels found: {', '.join(map(str, list(size)[:12]))}."
            hint = "Check the label numbers, and that the region was drawn."
            yield Issue("E_EMPTY_ROI", message, case, field, hint)
        elif n < spec.roi.min_voxels:
            message = f"{region} has {n} voxels, expected at least {spec.roi.min_voxels}."
            yield Issue("E_ROI_SIZE", message, case, field, "Check that the region was drawn on all slices.")


def _components(mask: LabelMap, spec: FeatureSpec, case: str, field: str) -> Iterator[Issue]:
    drawn = crop_to_labels(mask.array)
    for region in spec.regions:
        named, n = ndimage.label(drawn == mask.labels[region], structure=_CONNECT_26)
        if n < 2:
            continue
        sizes = np.sort(np.bincount(named.ravel())[1:])[::-1]
        sizes = sizes[sizes >= spec.checks.component_min_voxels]
        if len(sizes) > 1:
            shown = ", ".join(map(str, sizes[:6].tolist())) + (", ..." if len(sizes) > 6 else "")
            message = f"{REGION_NAMES[region]} is in {len(sizes)} separate parts of {shown} voxels."
            yield Issue("W_COMPONENTS", message, case, field, "Check for stray voxels and half-drawn slices.")


def _slices(mask: LabelMap, spec: FeatureSpec, case: str, field: str) -> Iterator[Issue]:
    drawn = crop_to_labels(mask.array)
    for region in spec.regions:
        used = np.flatnonzero((drawn == mask.labels[region]).any(axis=(0, 1)))
        absent = sorted(set(range(used[0], used[-1] + 1)) - set(used.tolist()))
        if absent:
            message = f"{region} is missing in {len(absent)} slice(s) between its ends, first in slice {absent[0] + 1}."
            yield Issue("W_SLICES", message, case, field, "Volumes count these slices as empty.")
        if spec.maps is None and region == "lv_myocardium" and len(used) < MIN_SLICES:
            message = f"{region} is on {len(used)} slice(s), expected {MIN_SLICES} or more (base, middle, apex)."
            yield Issue("W_SLICES", message, case, field, "Volumes hold for these slices only.")


def _same_image(case: Case, spec: FeatureSpec) -> list[Issue]:
    present = [case.images[key] for key in spec.keys if key in case.images]
    if len(present) < 2 or not np.array_equal(present[0].array, present[1].array):
        return []
    message = "The images of end-diastole and end-systole are identical."
    return [Issue("W_PHASE", message, case.patient_id, hint="Check the frame numbers.")]


def _doubted_mask(case: Case) -> list[Issue]:
    """Return what the quality estimate of a network said, where it drew the masks."""
    network, hint = case.clinical.get("mask_network"), "Look at the masks on the images, and correct them."
    texts = {
        "warn": ("W_MASK_WARN", "its quality estimate warns of them"),
        "ask": ("W_MASK_ASK", "its quality estimate asks a person to look at them"),
    }
    code, words = texts.get(str(case.clinical.get("mask_verdict")), ("", ""))
    return (
        [Issue(code, f"The masks were drawn by the network {network}; {words}.", case.patient_id, "mask", hint)]
        if code
        else []
    )


def _grids(image: Image, mask: Image) -> str:
    return f"image {_grid(image)}; mask {_grid(mask)}"


def _grid(image: Image) -> str:
    from nibabel.orientations import aff2axcodes  # late: slow, and only needed for a message

    size = " x ".join(map(str, image.array.shape))
    spacing = " x ".join(f"{s:.4g}" for s in image.spacing_mm)
    axes = "".join(aff2axcodes(image.affine)) if image.oriented else "no orientation stated"
    origin = ", ".join(f"{v:.4g}" for v in image.affine[:3, 3])
    return f"{size} voxels of {spacing} mm, axes {axes}, origin ({origin}) mm"
