"""The simulated cohort: patients, their true measurements, and the cine studies that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC, PHASES, Case, Image, LabelMap
from radiocard.simulate.chest import paint_chest
from radiocard.simulate.classes import CLASSES, LATENTS, draw_latents
from radiocard.simulate.grid import Grid, label_slices
from radiocard.simulate.heart import (
    TERRITORIES,
    Float,
    HeartParameters,
    PhaseShape,
    end_diastole,
    end_systole,
    part_of_systole,
)
from radiocard.simulate.images import SITES, Site, Tissue, bias_field, paint_heart, scan
from radiocard.simulate.truth import DENSITY_G_ML, heart_truth

_ORDER, _PATIENT, _PERMUTATION = 0, 1, 2
BESIDE = "_beside"
FRAMES_OF_SYSTOLE = 10
ONE_FRAME = float(1 - np.cos(np.pi / FRAMES_OF_SYSTOLE)) / 2  # share of the stroke volume


@dataclass(frozen=True, eq=False)
class SimulatedCase:
    """One simulated patient.

    Parameters
    ----------
    case : Case
        Images, masks and clinical covariates, as a reader would give them.
    truth : mapping of str to float
        True measurements, see :func:`radiocard.simulate.truth.heart_truth`.
    parameters : mapping of str to float or str
        What the patient was made from; ``group`` is the generating group, whatever the diagnosis says.
    """

    case: Case
    truth: Mapping[str, float]
    parameters: Mapping[str, float | str]


def simulate_cohort(*, per_class: int = 14, seed: int, permute_classes: bool = False) -> list[SimulatedCase]:
    """Simulate a cohort of five groups with cine studies at end-diastole and end-systole.

    Parameters
    ----------
    per_class : int
        Patients per group.
    seed : int
        Every draw follows from it. Patient ``sim-007`` is the same in a cohort of any size.
    permute_classes : bool
        Shuffle the diagnoses over the patients; a classifier then finds nothing but chance.

    Returns
    -------
    list of SimulatedCase
        5 x ``per_class`` patients; the groups follow in random order, so an identifier says nothing.

    Raises
    ------
    UsageError
        If ``per_class`` is below 1 or ``seed`` is negative.
    """
    if per_class < 1:
        msg = f"per_class is {per_class}, expected at least 1."
        raise UsageError(msg, field="per_class")
    if seed < 0:
        msg = f"seed is {seed}, expected 0 or more."
        raise UsageError(msg, field="seed")
    groups = [CLASSES[i] for block in range(per_class) for i in _stream(seed, _ORDER, block).permutation(len(CLASSES))]
    cases = [simulate_patient(group, index, seed=seed) for index, group in enumerate(groups)]
    if not permute_classes:
        return cases
    shuffled = _stream(seed, _PERMUTATION, 0).permutation(groups)
    return [with_diagnosis(case, str(label)) for case, label in zip(cases, shuffled, strict=True)]


def simulate_patient(group: str, index: int, *, seed: int) -> SimulatedCase:
    """Simulate one patient of a group; ``index`` from 0 gives the identifier and the random stream."""
    return _simulate(group, index, seed, PHASES)[0]


def simulate_frames(group: str, index: int, *, seed: int) -> tuple[SimulatedCase, Case]:
    """Simulate one patient, and the same study one frame away from end-diastole and end-systole.

    Stroke volume follows half a cosine over the ten frames of systole, so that one frame after
    end-diastole and one beside end-systole 2.4 % of it are missing.

    Parameters
    ----------
    group, index, seed
        As in :func:`simulate_patient`, which gives the same patient.

    Returns
    -------
    patient : SimulatedCase
    beside : Case
        Images of the neighbouring frames and their true masks, under the same keys.
    """
    found, images, masks = _simulate(group, index, seed, (*PHASES, *(p + BESIDE for p in PHASES)))
    other = Case(
        found.case.patient_id,
        {("cine", str(p)): images["cine", p + BESIDE] for p in PHASES},
        {("cine", str(p)): masks["cine", p + BESIDE] for p in PHASES},
        found.case.clinical,
        simulated=True,
    )
    return found, other


def _simulate(
    group: str, index: int, seed: int, phases: Sequence[str]
) -> tuple[SimulatedCase, dict[tuple[str, str], Image], dict[tuple[str, str], LabelMap]]:
    rng = _stream(seed, _PATIENT, index)
    sex, age, latents = draw_latents(group, rng)
    clinical, bsa = _body(sex, age, group, rng)
    heart = _heart(dict(zip(LATENTS, latents.tolist(), strict=True)), bsa, float(clinical["height_cm"]), rng)
    ed = end_diastole(heart)
    shapes = {"ed": ed, "es": end_systole(heart, ed)}
    for phase, share in (("ed", ONE_FRAME), ("es", 1 - ONE_FRAME)):
        if phase + BESIDE in phases:
            shapes[phase + BESIDE] = part_of_systole(heart, ed, share)
    site = SITES[int(rng.integers(len(SITES)))]
    clinical |= {"site": site.name, "vendor": site.vendor, "field_strength_t": site.field_strength_t}
    patient_id = f"sim-{index + 1:03d}"
    images, masks = _study(heart, shapes, site, rng, phases)
    own = [("cine", str(p)) for p in PHASES]
    case = Case(patient_id, {k: images[k] for k in own}, {k: masks[k] for k in own}, clinical, simulated=True)
    drawn = dict(zip(LATENTS, latents.tolist(), strict=True)) | {"age_exact_y": age}
    parameters: dict[str, float | str] = {"group": group, **vars(heart), **drawn}
    return SimulatedCase(case, heart_truth(ed, shapes["es"], bsa), parameters), images, masks


def _stream(seed: int, kind: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, index)))


def with_diagnosis(case: SimulatedCase, label: str) -> SimulatedCase:
    """Return the same patient under another diagnosis; ``parameters`` still tell the generating group."""
    return replace(case, case=replace(case.case, clinical={**case.case.clinical, "diagnosis": label}))


def _body(sex: str, age: float, group: str, rng: np.random.Generator) -> tuple[dict[str, str | float], float]:
    """Draw height and weight; the same for every group. Body surface area by Mosteller (NEJM 317 (1987) 1098)."""
    mean, sd = {"F": (163.0, 6.5), "M": (176.0, 7.0)}[sex]
    height = round(float(np.clip(rng.normal(mean, sd), mean - 3 * sd, mean + 3 * sd)))
    bmi = float(np.clip(rng.lognormal(np.log(25.5), 0.14), 18, 40))
    weight = round(bmi * (height / 100) ** 2)
    clinical: dict[str, str | float] = {
        "sex": sex,
        "age_y": round(age),
        "height_cm": height,
        "weight_kg": weight,
        "diagnosis": group,
    }
    return clinical, float(np.sqrt(height * weight / 3600))


def _heart(latents: Mapping[str, float], bsa: float, height_cm: float, rng: np.random.Generator) -> HeartParameters:
    edv = latents["lvedvi_ml_m2"] * bsa
    length = 84.0 * (edv / 140) ** 0.22 * (height_cm / 170) ** 0.5 * float(np.exp(rng.normal(0, 0.035)))
    return HeartParameters(
        lvedv_ml=edv,
        lvef=latents["lvef"],
        rvef=latents["rvef"],
        sv_ratio=latents["sv_ratio"],
        myocardium_ml=latents["lvmi_g_m2"] * bsa / DENSITY_G_ML,
        septal_excess=latents["septal_excess"],
        deficit=latents["deficit"],
        thinning=latents["thinning"],
        territory=str(rng.choice(list(TERRITORIES))),
        territory_shift_deg=float(rng.normal(0, 8)),
        territory_scale=float(rng.uniform(0.85, 1.15)),
        septal_centre_deg=float(rng.normal(165, 12)),
        length_mm=length,
        apex_mm=float(rng.uniform(4, 6)),
        descent=float(rng.normal(0.27, 0.02)),
    )


def _grid(site: Site, shape: PhaseShape, rng: np.random.Generator) -> Grid:
    first = -site.slice_mm * rng.uniform(0.3, 1.3)
    n = int(np.ceil((shape.apex_mm + 0.3 * site.slice_mm - first) / site.slice_mm)) + 1
    levels: Float = first + site.slice_mm * np.arange(n, dtype=np.float64)
    tilt = np.tan(np.deg2rad(np.clip(rng.normal(0, 2.0, 2), -5, 5)))
    shift: Float = (levels[:, None] - shape.apex_mm / 2) * tilt + np.clip(rng.normal(0, 0.7, (n, 2)), -1.5, 1.5)
    order = slice(None, None, -1) if site.apex_first else slice(None)
    centre = np.array([-14.0, 4.0]) + rng.uniform(-6, 6, 2)
    return Grid(site.size, site.pixel_mm, levels[order], float(rng.normal(-8, 7)), centre, shift[order])


def _study(
    heart: HeartParameters,
    shapes: Mapping[str, PhaseShape],
    site: Site,
    rng: np.random.Generator,
    phases: Sequence[str],
) -> tuple[dict[tuple[str, str], Image], dict[tuple[str, str], LabelMap]]:
    ed = shapes["ed"]
    grid = _grid(site, ed, rng)
    rotation = Rotation.from_rotvec(np.deg2rad(np.clip(rng.normal(0, 4.0, 3), -8, 8)))
    affine = grid.affine(rotation, np.array([-15.0, 10.0, 20.0]) + rng.normal(0, 8, 3))
    tissue = Tissue(rng.normal(0.42, 0.04), rng.uniform(0.6, 0.85), rng.uniform(2.5, 6.0), rng.normal(0.95, 0.03), 0.0)
    atrium = rng.uniform(0.75, 0.9) * float(ed.endo_mm[0].mean())
    width = float(ed.epi_mm.max()) + ed.rv_reach_mm
    window = grid.window(width + 12)
    chest = paint_chest(grid, (width, float(ed.epi_mm.max())), rng)
    bias = bias_field(site, grid, rng)
    images: dict[tuple[str, str], Image] = {}
    masks: dict[tuple[str, str], LabelMap] = {}
    for phase in phases:
        tissue = replace(tissue, atrium_mm=atrium * (1.0 if phase.startswith("ed") else 1.15))
        signal = paint_heart(chest, shapes[phase], heart, tissue, site, grid, window, rng)
        images["cine", phase] = Image(scan(signal, site, bias, rng), affine)
        labels = label_slices(shapes[phase], grid, window)
        masks["cine", phase] = LabelMap(labels, affine, labels=dict(LABELS_ACDC))
    return images, masks
