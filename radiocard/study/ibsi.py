"""Does radiocard give the consensus values of the IBSI? Run on the phantoms that the IBSI publishes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.checks.case import check_grid
from radiocard.errors import CohortError, GeometryError, ReadError
from radiocard.features.boxes import bounding_box
from radiocard.features.extract import extract_region
from radiocard.features.prepare import prepare_all
from radiocard.image import Image
from radiocard.io.convert import as_image
from radiocard.study.ibsi_settings import Configuration, configurations

Verdict = Literal["within", "outside", "missing", "no consensus"]
NO_CONSENSUS = frozenset({"not standardized", "< 3", "<3", ""})
# Folders of each phantom: as short names, and as the IBSI publishes its data sets.
_PUBLISHED = {"digital_phantom": "ibsi_1_digital_phantom", "ct_phantom": "ibsi_1_ct_radiomics_phantom"}
_COLUMNS = ("family", "feature", "consensus", "reference value", "tolerance", "tag")


@dataclass(frozen=True)
class Reference:
    """One row of a reference sheet.

    Parameters
    ----------
    family, feature, tag : str
        As the sheet writes them.
    consensus : str
        How many teams agree, for example ``6-9``.
    value : str
        Consensus value as printed, empty without consensus.
    tolerance : float
        Greatest accepted difference, 0 where the printed digits decide.
    """

    family: str
    feature: str
    tag: str
    consensus: str
    value: str
    tolerance: float

    def verdict(self, value: float | None) -> Verdict:
        """Compare a value, rounded to as many significant digits as the reference, three at least."""
        if self.consensus in NO_CONSENSUS or not self.value:
            return "no consensus"
        if value is None:
            return "missing"
        rounded = float(f"{value:.{_digits(self.value)}g}")
        expected = float(self.value)
        return "within" if abs(rounded - expected) <= self.tolerance + 1e-9 * abs(expected) else "outside"


@dataclass(frozen=True)
class ConfigurationResult:
    """Values of one configuration, and how they compare.

    Parameters
    ----------
    configuration : Configuration
        Its name, data and settings.
    values : mapping of str to float or None
        Tag of the sheet to value; None where the configuration was not run.
    references : tuple of Reference
        Rows of the sheet; empty without a sheet.
    """

    configuration: Configuration
    values: Mapping[str, float | None] | None
    references: tuple[Reference, ...]

    @property
    def compared(self) -> bool:
        """Whether the configuration was run, and a consensus value is there to compare with."""
        return self.values is not None and any(r.verdict(None) == "missing" for r in self.references)

    def verdicts(self) -> Iterator[tuple[Reference, float | None, Verdict]]:
        """Yield every row of the sheet with the value and the verdict."""
        values = self.values or {}
        for reference in self.references:
            value = values.get(reference.tag)
            yield reference, value, reference.verdict(value)

    def count(self, verdict: Verdict) -> int:
        """Return how many rows of the sheet have a verdict."""
        return sum(found == verdict for _, _, found in self.verdicts())


@dataclass(frozen=True)
class IbsiResult:
    """What a run on the phantoms gave, one result per configuration."""

    configurations: tuple[ConfigurationResult, ...]

    @property
    def complies(self) -> bool:
        """Whether every configuration was run and compared, and meets every consensus value of its sheet."""
        return all(r.compared and r.count("outside") == r.count("missing") == 0 for r in self.configurations)

    @property
    def compared(self) -> bool:
        """Whether anything was compared with a reference value."""
        return any(r.compared for r in self.configurations)

    def rows(self) -> list[dict[str, Any]]:
        """Return ``config, tag, value`` of everything computed, with the sheets' own names."""
        return [
            {"config": result.configuration.name, "tag": tag, "value": value}
            for result in self.configurations
            for tag, value in (result.values or {}).items()
        ]


def check(path: str | Path, *, progress: Callable[..., None] | None = None) -> IbsiResult:
    """Run the digital phantom and configurations A to E, and compare with the reference values.

    Parameters
    ----------
    path : str or Path
        Folder with ``digital_phantom`` and ``ct_phantom``, each with ``image.nii.gz`` and
        ``mask.nii.gz``, and ``reference_values`` with the sheets as CSV; or the folders
        ``ibsi_1_digital_phantom`` and ``ibsi_1_ct_radiomics_phantom`` as the IBSI publishes them.
    progress : callable or None
        Called after each configuration.

    Returns
    -------
    IbsiResult
        A configuration without data or without a sheet is part of it, not run or not compared.

    Raises
    ------
    CohortError
        If the folder holds none of the phantoms, or a sheet cannot be read.
    ReadError, GeometryError
        If an image cannot be read, or a mask is not on the grid of its image.
    """
    folder = Path(path)
    files = {phantom: _phantom(folder, phantom) for phantom in _PUBLISHED}
    if not any(files.values()):
        msg = f"{folder.name!r} holds no IBSI phantom: expected {', '.join(_PUBLISHED)} with image and mask."
        hint = "Give the folder that holds them; the data are at https://github.com/theibsi/data_sets."
        raise CohortError(msg, hint=hint)
    results = []
    for configuration in configurations():
        pair = files[configuration.phantom]
        values = None if pair is None else _compute_files(configuration, *pair)
        results.append(ConfigurationResult(configuration, values, _references(folder, configuration)))
        if progress is not None:
            progress()
    return IbsiResult(tuple(results))


def _compute_files(configuration: Configuration, image: Path, mask: Path) -> dict[str, float | None]:
    phantom, region = as_image(image), as_image(mask)
    tolerance = configuration.spec.checks.grid_tolerance_voxel
    for issue in check_grid(phantom, region, tolerance_voxel=tolerance, case=configuration.phantom, field="mask"):
        raise GeometryError(issue.message, case=issue.case, field=issue.field, hint=issue.hint)
    return compute(configuration, phantom, region)


def compute(configuration: Configuration, image: Image, mask: Image) -> dict[str, float | None]:
    """Compute all values of one configuration, with the tags of the sheets.

    Parameters
    ----------
    configuration : Configuration
        Settings.
    image, mask : Image
        Phantom, and its region as voxels above 0.

    Returns
    -------
    dict of str to float or None
        Features, and for the CT phantom the diagnostics of image and mask.
    """
    inside = np.asarray(mask.array > 0)
    found = extract_region(image, inside, configuration.spec)
    out = {tag: found[key] for tag, key in configuration.tags.items()}
    if configuration.phantom == "ct_phantom":
        out = _diagnostics(configuration, image, inside) | out
    return out


def _diagnostics(configuration: Configuration, image: Image, mask: NDArray[np.bool_]) -> dict[str, float | None]:
    """Describe image and mask as read, after interpolation and after re-segmentation."""
    regions, refused = prepare_all(image, {"": mask}, configuration.spec, labelled=mask)
    for error in refused.values():
        raise error
    prepared = regions[""]
    resampled = configuration.spec.resampling is not None
    after = prepared.image if resampled else image
    out: dict[str, float | None] = {}
    for name, grid in (("init", image), ("interp", after)):
        out |= _of_image(grid, f"{name}_img")
    size = after.array.shape
    out |= _of_mask(image.array, mask, mask, image.array.shape, "init_roi")
    out |= _of_mask(prepared.image.array, prepared.mask, prepared.mask, size, "interp_roi")
    return out | _of_mask(prepared.image.array, prepared.intensity_mask, prepared.mask, size, "reseg_roi")


def _of_image(image: Image, stage: str) -> dict[str, float | None]:
    values = image.array
    return {
        **{f"img_dim_{axis}_{stage}": float(n) for axis, n in zip("xyz", values.shape, strict=True)},
        **{f"vox_dim_{axis}_{stage}": float(step) for axis, step in zip("xyz", image.spacing_mm, strict=True)},
        f"mean_int_{stage}": float(values.mean(dtype=np.float64)),
        f"min_int_{stage}": float(values.min()),
        f"max_int_{stage}": float(values.max()),
    }


def _of_mask(
    values: NDArray[Any], intensity: NDArray[np.bool_], drawn: NDArray[np.bool_], size: Sequence[int], stage: str
) -> dict[str, float | None]:
    inside = values[intensity]
    out: dict[str, float | None] = {
        f"int_mask_dim_{axis}_{stage}": float(n) for axis, n in zip("xyz", size, strict=True)
    }
    for kind, mask in (("int", intensity), ("morph", drawn)):
        box = bounding_box(mask)
        out |= {
            f"{kind}_mask_bb_dim_{axis}_{stage}": float(side.stop - side.start)
            for axis, side in zip("xyz", box, strict=True)
        }
        out[f"{kind}_mask_vox_count_{stage}"] = float(np.count_nonzero(mask))
    out[f"int_mask_mean_int_{stage}"] = float(inside.mean(dtype=np.float64))
    out[f"int_mask_min_int_{stage}"] = float(inside.min())
    out[f"int_mask_max_int_{stage}"] = float(inside.max())
    return out


def _phantom(folder: Path, name: str) -> tuple[Path, Path] | None:
    published = folder / _PUBLISHED[name] / "nifti"
    options = (
        (folder / name / "image.nii.gz", folder / name / "mask.nii.gz"),
        (published / "image" / "phantom.nii.gz", published / "mask" / "mask.nii.gz"),
    )
    return next(((image, mask) for image, mask in options if image.is_file() and mask.is_file()), None)


def _references(folder: Path, configuration: Configuration) -> tuple[Reference, ...]:
    path = folder / "reference_values" / configuration.sheet
    if not path.is_file():
        return ()
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8 text."
        raise CohortError(msg, code="E_TABLE") from None
    missing = [column for column in _COLUMNS if not rows or column not in rows[0]]
    if missing:
        msg = f"{path.name} is not a reference sheet: it lacks {', '.join(missing)}."
        raise CohortError(msg, code="E_TABLE")
    return tuple(_reference(row, path.name) for row in rows if row["tag"])


def _reference(row: Mapping[str, str], name: str) -> Reference:
    value, tolerance = row["reference value"].strip(), row["tolerance"].strip()
    try:
        float(value or 0)
        return Reference(
            row["family"], row["feature"], row["tag"], row["consensus"].strip(), value, float(tolerance or 0)
        )
    except ValueError:
        msg = f"{name}: {row['tag']}: reference {value!r} and tolerance {tolerance!r} must be numbers."
        raise ReadError(msg) from None


def _digits(text: str) -> int:
    """Significant digits of a printed number; trailing zeros of whole numbers do not count."""
    mantissa = text.lower().partition("e")[0].lstrip("+-")
    digits = mantissa.replace(".", "").lstrip("0") if "." in mantissa else mantissa.lstrip("0").rstrip("0")
    return max(3, len(digits))
