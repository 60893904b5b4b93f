"""Simulated map cohorts: short-axis T1, ECV and T2 maps of patients whose tissue is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC, Case, Image, LabelMap
from radiocard.simulate.chest import paint_chest
from radiocard.simulate.cohort import SimulatedCase, with_diagnosis
from radiocard.simulate.grid import LABEL_MYOCARDIUM, Float32, label_slices
from radiocard.simulate.heart import Float, HeartParameters, PhaseShape, end_diastole
from radiocard.simulate.layers import draw_surroundings, tissue_shares, wall_points
from radiocard.simulate.map_classes import FIELD_STRENGTH_T, SEX_FACTOR, TASKS, MapTask, Pattern, draw_map_latents
from radiocard.simulate.map_images import MAP_SITES, Blood, MapSite, paint_maps
from radiocard.simulate.map_structure import WallValues, wall_values
from radiocard.simulate.map_truth import map_truth
from radiocard.simulate.truth import DENSITY_G_ML

_ORDER, _PATIENT, _PERMUTATION = 20, 21, 22
_LEVELS = (0.20, 0.49, 0.78)  # basal, mid and apical slice, as a fraction of the cavity's length
THICKNESS_MM = 8.0
FIELD_OF_VIEW_MM = 224.0


def simulate_map_cohort(
    *, task: MapTask, per_class: int = 14, seed: int, permute_classes: bool = False
) -> list[SimulatedCase]:
    """Simulate patients with three short-axis slices of native T1, post-contrast T1 and ECV.

    Parameters
    ----------
    task : {'t1-amyloid', 'dcm', 'myocarditis', 'hhd-hcm'}
        Normal, hypertrophic and amyloid hearts; normal and dilated; normal and acute myocarditis, with T2 maps and
        at 1.5 T; hypertensive and hypertrophic. All but myocarditis at 3 T.
    per_class : int
        Patients per group.
    seed : int
        Every draw follows from it. Patient ``map-007`` is the same in a cohort of any size.
    permute_classes : bool
        Shuffle the diagnoses over the patients; a classifier then finds nothing but chance.

    Returns
    -------
    list of SimulatedCase
        Images under ``("t1_native", "")``, ``("t1_post", "")``, ``("ecv", "")`` and, for myocarditis, ``("t2", "")``,
        with a mask each. ``truth`` as of :func:`radiocard.simulate.map_truth.map_truth`; ``parameters`` hold the
        latents, ``group``, and what the scanner adds to T1 (``t1_offset_ms``, part of the truth).

    Raises
    ------
    UsageError
        If the task is unknown, ``per_class`` below 1 or ``seed`` negative.
    """
    _check(task, per_class, seed)
    classes = tuple(TASKS[task])
    groups = [
        classes[i] for block in range(per_class) for i in _stream(task, seed, _ORDER, block).permutation(len(classes))
    ]
    cases = [simulate_map_patient(task, group, index, seed=seed) for index, group in enumerate(groups)]
    if not permute_classes:
        return cases
    shuffled = _stream(task, seed, _PERMUTATION, 0).permutation(groups)
    return [with_diagnosis(case, str(label)) for case, label in zip(cases, shuffled, strict=True)]


def simulate_map_patient(task: MapTask, group: str, index: int, *, seed: int) -> SimulatedCase:
    """Simulate one patient of a group; ``index`` from 0 gives the identifier and the random stream.

    Parameters
    ----------
    task : {'t1-amyloid', 'dcm', 'myocarditis', 'hhd-hcm'}
        Which cohort.
    group : str
        One of the task's groups.
    index : int
        Number of the patient.
    seed : int
        Every draw follows from it.

    Returns
    -------
    SimulatedCase

    Raises
    ------
    UsageError
        If task or group is unknown, or ``seed`` negative.
    """
    _check(task, 1, seed)
    if group not in TASKS[task]:
        msg = f"Group is {group!r}, expected one of {', '.join(TASKS[task])}."
        raise UsageError(msg, field="group")
    rng = _stream(task, seed, _PATIENT, index)
    model, strength = TASKS[task][group], FIELD_STRENGTH_T[task]
    latents = draw_map_latents(model, rng)
    clinical, bsa = _clinical(group, rng)
    site = MAP_SITES[int(rng.integers(len(MAP_SITES)))]
    blood = _blood(float(clinical["haematocrit_pct"]), strength, site, rng)
    heart = _heart(latents, SEX_FACTOR[str(clinical["sex"])] * bsa, float(clinical["height_cm"]), bsa, rng)
    shape = end_diastole(heart)
    maps, mask, truth = _study(shape, latents, model.pattern, blood, site, strength, rng)
    names = [name for name in maps if name != "t2" or task == "myocarditis"]
    truth |= {"lvm_g": DENSITY_G_ML * shape.myocardium_ml(), "lvedv_ml": shape.lv_ml(), "bsa_m2": bsa}
    case = Case(
        f"map-{index + 1:03d}",
        {(name, ""): Image(maps[name], mask.affine) for name in names},
        {(name, ""): mask for name in names},
        clinical | {"site": site.name, "vendor": site.vendor, "field_strength_t": strength},
        simulated=True,
    )
    made: dict[str, float | str] = {"group": group, **latents, "t1_offset_ms": _offset_ms(site, strength)}
    known = {k: v for k, v in truth.items() if task == "myocarditis" or not k.startswith("t2_")}
    return SimulatedCase(case, known, {**made, **vars(heart)})


def _study(
    shape: PhaseShape,
    latents: dict[str, float],
    pattern: Pattern,
    blood: Blood,
    site: MapSite,
    strength: float,
    rng: np.random.Generator,
) -> tuple[dict[str, NDArray[Any]], LabelMap, dict[str, float]]:
    around = draw_surroundings(rng)
    levels: Float = np.array(_LEVELS) * shape.tip_mm
    size = round(FIELD_OF_VIEW_MM / site.pixel_mm)
    grid = around.grid(levels, size=size, pixel_mm=site.pixel_mm, rng=rng)
    reach = float(shape.epi_mm.max())
    window = grid.window(reach + shape.rv_reach_mm + 14)
    labels = label_slices(shape, grid, window)
    inside = labels.transpose(2, 0, 1)[window.where] == LABEL_MYOCARDIUM
    points = wall_points(shape, grid, window)
    own = wall_values(points, inside, latents, pattern, pixel_mm=site.pixel_mm, rng=rng)
    shown = WallValues(own.t1_ms + _offset_ms(site, strength), own.ecv_pct, own.t2_ms)
    shares = tissue_shares(shape, grid, window, thickness_mm=THICKNESS_MM, fat_mm=around.fat_mm, parts={})
    chest = paint_chest(grid, (reach + shape.rv_reach_mm, reach), rng)
    maps = paint_maps(chest, window.where, shares, shown, blood, site=site, field_strength_t=strength, rng=rng)
    mask = LabelMap(labels, around.affine(grid), labels=dict(LABELS_ACDC))
    return (
        {name: _stored(name, m) for name, m in maps.items()},
        mask,
        map_truth(shape, levels, points, inside, shown, blood),
    )


def _stored(name: str, values: Float32) -> NDArray[Any]:
    """Return a map in the order i, j, k: T1 in whole ms, T2 and ECV with one decimal."""
    turned = np.ascontiguousarray(values.transpose(1, 2, 0))
    if name.startswith("t1"):
        return np.rint(turned).astype(np.int16)
    return np.round(turned, 1)


def _clinical(group: str, rng: np.random.Generator) -> tuple[dict[str, str | float], float]:
    """Draw sex, age, body and haematocrit; the same for every group."""
    sex = "M" if rng.random() < 0.6 else "F"
    tall, hct = {"F": (163.0, 39.5), "M": (176.0, 43.0)}[sex]
    height = round(float(np.clip(rng.normal(tall, 7.0), tall - 20, tall + 20)))
    bmi = float(np.clip(rng.lognormal(np.log(25.5), 0.14), 18, 40))
    weight = round(bmi * (height / 100) ** 2)
    clinical: dict[str, str | float] = {
        "diagnosis": group,
        "sex": sex,
        "age_y": round(float(np.clip(rng.normal(56, 13), 18, 88))),
        "height_cm": height,
        "weight_kg": weight,
        "haematocrit_pct": round(float(np.clip(rng.normal(hct, 3.0), 28, 54)), 1),
    }
    return clinical, float(np.sqrt(height * weight / 3600))


def _offset_ms(site: MapSite, strength: float) -> float:
    return site.t1_offset_ms * (1.0 if strength > 2 else 0.75)


def _blood(haematocrit_pct: float, strength: float, site: MapSite, rng: np.random.Generator) -> Blood:
    """Draw T1 of blood; the same for every group. It falls as haematocrit rises."""
    mean = 1790.0 if strength > 2 else 1560.0
    native = mean - 12.0 * (haematocrit_pct - 42) + rng.normal(0, 45) + 1.5 * _offset_ms(site, strength)
    return Blood(float(native), float(np.clip(rng.normal(400, 35), 300, 520)), haematocrit_pct)


def _heart(
    latents: Mapping[str, float], size_m2: float, height_cm: float, bsa: float, rng: np.random.Generator
) -> HeartParameters:
    edv = latents["lvedvi_ml_m2"] * size_m2
    rv_ml = float(np.clip(rng.normal(80, 10), 55, 110)) * bsa
    return HeartParameters(
        lvedv_ml=edv,
        lvef=0.6,
        rvef=0.6 * edv / rv_ml,
        sv_ratio=1.0,
        myocardium_ml=latents["lvmi_g_m2"] * size_m2 / DENSITY_G_ML,
        septal_excess=latents["septal_excess"],
        deficit=0.1,
        thinning=0.03,
        territory="LAD",
        territory_shift_deg=0.0,
        territory_scale=1.0,
        septal_centre_deg=float(rng.normal(165, 12)),
        length_mm=84.0 * (edv / 140) ** 0.22 * (height_cm / 170) ** 0.5 * float(np.exp(rng.normal(0, 0.035))),
        apex_mm=float(rng.uniform(4, 6)),
        descent=0.27,
    )


def _stream(task: str, seed: int, kind: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, list(TASKS).index(task), index)))


def _check(task: str, per_class: int, seed: int) -> None:
    if task not in TASKS:
        msg = f"Task is {task!r}, expected one of {', '.join(TASKS)}."
        raise UsageError(msg, field="task")
    if per_class < 1:
        msg = f"per_class is {per_class}, expected at least 1."
        raise UsageError(msg, field="per_class")
    if seed < 0:
        msg = f"seed is {seed}, expected 0 or more."
        raise UsageError(msg, field="seed")
