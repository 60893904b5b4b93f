"""Perturb every case as readers and scanners would, and see which measurements and answers hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from radiocard.cohort.row import CaseResult, case_row, describe_case
from radiocard.cohort.table import describe
from radiocard.errors import CaseError, CohortError, Issue, MaskError, NothingUsableError
from radiocard.evaluation.intervals import finite
from radiocard.evaluation.reliability import MIN_SUBJECTS
from radiocard.evaluation.stability import StableShare, feature_stability, stable_shares
from radiocard.explain.families import family_name
from radiocard.image import DRAWN_SCAR, MAPS, Case, Image, LabelMap
from radiocard.io.cohort import CaseRef, Cohort
from radiocard.io.delimited import format_delimited
from radiocard.io.store import write_json, write_text
from radiocard.models.bundle import ModelBundle
from radiocard.preprocessing.perturb import (
    add_basal_slice,
    contour_distances_mm,
    drop_basal_slice,
    move_contours,
    shift_grid,
)
from radiocard.preprocessing.perturb_values import add_noise, patient_rng
from radiocard.specs import FeatureSpec
from radiocard.study.extract import DEFAULT_SPEC, as_cohort, as_spec
from radiocard.study.predict import needs_texture

SCHEMA: Final = "radiocard/stability/1"
AS_DRAWN: Final = "as drawn"
STEPS_MM: Final = (0.5, 1.0)
SNR: Final = 20.0
GRID_PIXELS: Final = 0.5
# Sign of the displacement of endocardium (and right ventricle) and of epicardium.
DIRECTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"out": (1, 1), "in": (-1, -1), "thicker": (-1, 1), "thinner": (1, -1)}
)
VOLUMES: Final = ("lvedv_ml", "lvesv_ml", "rvedv_ml", "rvesv_ml", "lvm_g", "lvef_pct")
BODY: Final = "Body size"
FRAME: Final = "frame"
NO_FRAMES: Final = (
    "Frame: not available. A case holds end-diastole and end-systole; give the frames beside them, with their masks, "
    "as a second cohort."
)
Progress = Callable[[CaseResult], None]
Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class StabilityResult:
    """How stable each measurement of a cohort is.

    Parameters
    ----------
    table : DataFrame, index ``column``
        ``family``; ``icc_1_1`` and ``icc_a_1`` over all variants with ``_low`` and ``_high``; ``n``;
        ``icc_a_1_<kind>`` for the variants of one kind.
    shares : list of StableShare
        By family, all columns first.
    changes : DataFrame, index variant
        ``<volume>_mean`` and ``<volume>_abs``: mean change and mean absolute change of volumes and mass.
    n_patients : int
        Independent patients (identical images count once).
    notes : tuple of str
        What was not tested, or not everywhere.
    issues : tuple of Issue
        Findings, refused cases included.
    """

    table: pd.DataFrame
    shares: list[StableShare]
    changes: pd.DataFrame
    n_patients: int
    notes: tuple[str, ...]
    issues: tuple[Issue, ...]

    @property
    def frame(self) -> bool:
        """Whether neighbouring frames were measured."""
        return FRAME in self.changes.index

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        whole, changed = self.shares[0], "noise, grid and frame" if self.frame else "noise and grid"
        return (
            f"Of {whole.n} measurements, {whole.good:.0%} have an ICC(A,1) of at least 0.75 and {whole.excellent:.0%} "
            f"of at least 0.9 when contours, base, {changed} change a little ({self.n_patients} patients)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        changes = {
            str(v): {c: finite(float(x)) for c, x in row.items()} for v, row in self.changes.to_dict("index").items()
        }
        return {
            "schema": SCHEMA,
            "n_patients": self.n_patients,
            "sentence": self.sentence,
            "shares": [s.to_dict() for s in self.shares],
            "changes": changes,
            "notes": list(self.notes),
        }


def perturbed_cases(case: Case, spec: FeatureSpec) -> Iterator[tuple[str, Case]]:
    """Change one case in every way that is tested, one at a time.

    Contours of all phases move by 0.5 and 1 mm: out and in together, and apart (thicker and thinner
    wall; the right ventricle goes with the endocardium). The basal slice is dropped, or drawn once
    more. Noise is added at a signal-to-noise ratio of 20 over the labelled heart. The grid is moved by
    half a pixel. Scar that was drawn keeps its pixels.

    Parameters
    ----------
    case : Case
    spec : FeatureSpec
        Says which images.

    Yields
    ------
    name : str
        For example ``contours_thinner_0.5mm``, ``base_dropped``, ``noise``, ``grid``.
    case : Case
        Variants that are not possible (base of a single slice, or of a stack that ends there) are left out.
    """
    masks = {key: case.masks[key] for key in spec.keys if key in case.masks and key[0] != DRAWN_SCAR}
    distances = {key: contour_distances_mm(mask) for key, mask in masks.items()}
    for mm in STEPS_MM:
        for name, (endo, epi) in DIRECTIONS.items():
            moved = {
                key: move_contours(mask, endo_mm=endo * mm, epi_mm=epi * mm, rv_mm=endo * mm, distances=distances[key])
                for key, mask in masks.items()
            }
            yield f"contours_{name}_{mm:g}mm", replace(case, masks={**case.masks, **moved})
    yield from _other_base(case, masks)
    rng = patient_rng(case.patient_id, "noise")
    images: dict[tuple[str, str], Image] = {}
    for key, mask in masks.items():
        images[key] = add_noise(case.images[key], mask.array > 0, snr=SNR, rng=rng)
    yield "noise", replace(case, images={**case.images, **images})
    if (DRAWN_SCAR, "") not in case.masks:
        shifted = {
            key: shift_grid(case.images[key], mask, pixels=GRID_PIXELS, hollow=key[0] in MAPS)
            for key, mask in masks.items()
        }
        both = (
            {**case.images, **{k: v[0] for k, v in shifted.items()}},
            {
                **case.masks,
                **{k: v[1] for k, v in shifted.items()},
            },
        )
        yield "grid", replace(case, images=both[0], masks=both[1])


def _other_base(case: Case, masks: Mapping[tuple[str, str], LabelMap]) -> Iterator[tuple[str, Case]]:
    try:
        dropped = {key: drop_basal_slice(mask) for key, mask in masks.items()}
        added = {key: add_basal_slice(mask) for key, mask in masks.items()}
    except MaskError:
        return
    yield "base_dropped", replace(case, masks={**case.masks, **dropped})
    whole = {key: mask for key, mask in added.items() if mask is not None}
    if len(whole) == len(masks):
        yield "base_added", replace(case, masks={**case.masks, **whole})


def stability(
    cohort: str | Path | Cohort,
    *,
    spec: str | Path | FeatureSpec = DEFAULT_SPEC,
    beside: str | Path | Cohort | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> StabilityResult:
    """Measure every case again after each perturbation, and compute how well the measurements agree.

    Parameters
    ----------
    cohort : str, Path or Cohort
        A folder in ACDC or M&Ms layout, or a manifest CSV.
    spec : str, Path or FeatureSpec
        What to compute.
    beside : str, Path or Cohort, optional
        The same patients with the masks of neighbouring frames; the frame is not tested without.
    jobs : int
        Worker processes; the result does not depend on it.
    progress : callable or None
        Called with each case's result.

    Returns
    -------
    StabilityResult

    Raises
    ------
    NothingUsableError
        If fewer than 5 independent patients could be measured.
    CohortError, SpecError
        If a cohort or the specification cannot be read, or ``beside`` has none of the patients.
    """
    found, settings = as_cohort(cohort), as_spec(spec)
    others = _others(found, beside)
    results: list[tuple[CaseResult, dict[str, Row]]] = []
    calls = (delayed(_measured)(ref, settings, others.get(ref.patient_id)) for ref in found.cases)
    for result, rows in Parallel(n_jobs=jobs, return_as="generator")(calls):
        results.append((result, rows))
        if progress is not None:
            progress(result)
    issues = (*found.issues, *(issue for result, _ in results for issue in result.issues))
    rows_of: dict[str, dict[str, Row]] = {}
    for result, rows in results:
        if result.values is not None and rows:
            rows_of.setdefault(str(result.values["image_sha256"]), rows)
    if len(rows_of) < MIN_SUBJECTS:
        msg = f"{len(rows_of)} independent patients could be measured, expected at least {MIN_SUBJECTS}."
        raise NothingUsableError(msg, issues)
    return _summary(list(rows_of.values()), settings, issues)


def perturbed_table(case: Case, spec: FeatureSpec, columns: Sequence[str], *, texture: bool) -> pd.DataFrame:
    """Measure one patient as drawn, and after each perturbation.

    Parameters
    ----------
    case : Case
        A case that passed its checks.
    spec : FeatureSpec
        What to compute.
    columns : sequence of str
        Columns wanted.
    texture : bool
        Whether texture is among them.

    Returns
    -------
    DataFrame of float, shape (n_variants + 1, n_columns)
        Indexed by ``as drawn`` and the variants; those that cannot be measured are left out.
    """
    rows: dict[str, dict[str, Any]] = {AS_DRAWN: describe_case(case, spec, texture=texture)[0]}
    for name, variant in perturbed_cases(case, spec):
        try:
            rows[name] = describe_case(variant, spec, texture=texture)[0]
        except CaseError:
            continue
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(columns)).astype(float)


def perturbed_predictions(model: ModelBundle, case: Case, spec: FeatureSpec) -> dict[str, dict[str, float]]:
    """Ask a model about one patient as drawn, and after each perturbation.

    Parameters
    ----------
    model : ModelBundle
        The answering model is asked; for a patient it was trained on, the range is one of a model that
        saw the patient.
    case : Case
        A case that passed its checks.
    spec : FeatureSpec
        Of the model, see :func:`radiocard.study.predict.spec_of`.

    Returns
    -------
    dict of str to dict of str to float
        ``as drawn`` and each variant to class to probability; variants that cannot be measured are left out.
    """
    table = perturbed_table(case, spec, model.columns, texture=needs_texture(model))
    told = model.predict(table).probabilities
    return {str(name): {str(c): float(p) for c, p in row.items()} for name, row in told.to_dict("index").items()}


def write_stability(result: StabilityResult, path: str | Path) -> None:
    """Write the coefficients of every measurement as CSV, and the summary as JSON beside it.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    flat = result.table.reset_index()
    rows = [
        ["" if isinstance(v, float) and np.isnan(v) else str(v) for v in row] for row in flat.to_numpy(dtype=object)
    ]
    write_text(format_delimited(list(flat.columns), rows), Path(path))
    write_json(result.to_dict(), Path(path).with_suffix(".json"))


def _others(cohort: Cohort, beside: str | Path | Cohort | None) -> dict[str, CaseRef]:
    if beside is None:
        return {}
    others = {ref.patient_id: ref for ref in as_cohort(beside).cases}
    if not any(ref.patient_id in others for ref in cohort.cases):
        msg = "The cohort of neighbouring frames has none of the patients."
        raise CohortError(msg, code="E_TABLE", hint="Use the same identifiers in both.")
    return others


def _measured(ref: CaseRef, spec: FeatureSpec, other: CaseRef | None) -> tuple[CaseResult, dict[str, Row]]:
    """Measure one case as drawn and in every variant that can be measured."""
    result = case_row(ref, spec)
    if result.values is None:
        return result, {}
    rows = {AS_DRAWN: _numbers(result.values)}
    for name, variant in perturbed_cases(ref.load(), spec):
        try:
            rows[name] = _numbers(describe_case(variant, spec)[0])
        except CaseError:
            continue
    next_to = case_row(other, spec).values if other is not None else None
    if next_to is not None:
        rows[FRAME] = _numbers(next_to)
    return result, rows


def _numbers(values: Mapping[str, Any]) -> Row:
    """Return what was measured in images and masks."""
    return {
        c: np.nan if v is None else float(v)
        for c, v in values.items()
        if (info := describe(c)) is not None and info.family != BODY
    }


def _kind(variant: str) -> str:
    if variant.startswith("contours"):
        return f"contours_{variant.rpartition('_')[2]}"
    return variant.partition("_")[0]


def _summary(patients: Sequence[dict[str, Row]], spec: FeatureSpec, issues: tuple[Issue, ...]) -> StabilityResult:
    names = list(dict.fromkeys(name for rows in patients for name in rows))
    frames = {name: pd.DataFrame([rows.get(name, rows[AS_DRAWN]) for rows in patients]) for name in names}
    columns = [str(c) for c in frames[AS_DRAWN].columns]
    values = np.stack([frames[name][columns].to_numpy(dtype=float) for name in names], axis=1)
    infos = {c: describe(c) for c in columns}
    families = {c: family_name(info) for c, info in infos.items()}
    table = feature_stability(columns, values)
    table.insert(0, "family", [families[c] for c in columns])
    for kind in dict.fromkeys(_kind(name) for name in names[1:]):
        some = [0, *(i for i, name in enumerate(names) if i and _kind(name) == kind)]
        table[f"icc_a_1_{kind}"] = feature_stability(columns, values[:, some])["icc_a_1"]
    notes = [NO_FRAMES] if "es" in spec.phases and FRAME not in names else []
    for name in names[1:]:
        missing = sum(name not in rows for rows in patients)
        if missing:
            notes.append(f"{name}: not possible in {missing} of {len(patients)} patients, who count as unchanged.")
    if "base_dropped" not in names:
        notes.append("Base: not tested. The cases have one slice.")
    shares = stable_shares(table["icc_a_1"], families)
    return StabilityResult(table, shares, _changes(frames), len(patients), tuple(notes), issues)


def _changes(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    drawn = frames[AS_DRAWN]
    out: dict[str, dict[str, float]] = {}
    for name, frame in frames.items():
        if name == AS_DRAWN:
            continue
        difference = frame - drawn
        out[name] = {f"{c}_mean": float(difference[c].mean()) for c in VOLUMES if c in drawn}
        out[name] |= {f"{c}_abs": float(difference[c].abs().mean()) for c in VOLUMES if c in drawn}
    return pd.DataFrame.from_dict(out, orient="index")
