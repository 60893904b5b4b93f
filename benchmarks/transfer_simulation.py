"""Simulated cohorts of three classes on 20 clinical columns, whose cohorts differ as real ones may.

The hearts are those of :mod:`radiocard.simulate`; what a cohort adds to them (where its readers put
the contours, which slices they count, how they scatter, how advanced its patients are, which labels are
wrong, which classes are frequent) is drawn from wide, round ranges that were written down before any
candidate was tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from radiocard.simulate.classes import LATENTS, MODELS, draw_latents, to_natural, to_transformed
from radiocard.simulate.heart import N_CAVITY, TERRITORIES, HeartParameters, PhaseShape, end_diastole, end_systole
from radiocard.simulate.truth import DENSITY_G_ML

CLASSES = ("DCM", "HCM", "NOR")
COLUMNS = (
    "ED[vol(LV)]",
    "ES[vol(LV)]",
    "ED[vol(RV)]",
    "ES[vol(RV)]",
    "ED[mass(MYO)]",
    "ES[vol(MYO)]",
    "EF(LV)",
    "EF(RV)",
    "ED[vol(LV)/vol(RV)]",
    "ES[vol(LV)/vol(RV)]",
    "ED[mass(MYO)/vol(LV)]",
    "ES[vol(MYO)/vol(LV)]",
    "ES[max(mean(MWT|SA)|LA)]",
    "ES[stdev(mean(MWT|SA)|LA)]",
    "ES[mean(stdev(MWT|SA)|LA)]",
    "ES[stdev(stdev(MWT|SA)|LA)]",
    "ED[max(mean(MWT|SA)|LA)]",
    "ED[stdev(mean(MWT|SA)|LA)]",
    "ED[mean(stdev(MWT|SA)|LA)]",
    "ED[stdev(stdev(MWT|SA)|LA)]",
)
_SLICE_MM = 9.0


@dataclass(frozen=True)
class Cohort:
    """What a cohort adds to its hearts.

    Parameters
    ----------
    endo_mm, epi_mm : float
        Mean displacement of the contours, outwards [mm].
    base : tuple of float
        Log factor on all volumes at end-diastole and at end-systole (the most basal slice).
    rv : float
        Log factor on right ventricular volumes.
    rough : float
        Log factor on the four columns of wall irregularity within slices.
    scatter_lv, scatter_rv, scatter_wall : float
        Log standard deviation of each reading.
    milder : float
        How far each patient lies on the way from the class to the normals, 0 to 1.
    wrong : float
        Share of labels replaced by one of the other classes.
    gross : float
        Share of patients whose left and right volumes at one phase are badly wrong (log standard deviation 0.5).
    classes : tuple of tuple of float
        Shift of each class in each of the eight latent quantities, in its standard deviations.
    mix : tuple of float
        Share of each class.
    """

    endo_mm: float = 0.0
    epi_mm: float = 0.0
    base: tuple[float, float] = (0.0, 0.0)
    rv: float = 0.0
    rough: float = 0.0
    scatter_lv: float = 0.04
    scatter_rv: float = 0.07
    scatter_wall: float = 0.06
    milder: float = 0.0
    wrong: float = 0.0
    gross: float = 0.0
    classes: tuple[tuple[float, ...], ...] = ((0.0,) * len(LATENTS),) * len(CLASSES)
    mix: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)


def draw_cohort(rng: np.random.Generator) -> Cohort:
    """Draw a shifted cohort."""
    base = rng.normal(0, 0.05)
    return Cohort(
        endo_mm=rng.normal(0, 0.7),
        epi_mm=rng.normal(0, 0.7),
        base=(base, base + rng.normal(0, 0.07)),
        rv=rng.normal(0, 0.12),
        rough=rng.normal(0, 0.25),
        scatter_lv=rng.uniform(0.03, 0.12),
        scatter_rv=rng.uniform(0.05, 0.25),
        scatter_wall=rng.uniform(0.05, 0.15),
        milder=rng.uniform(0, 0.6),
        wrong=rng.uniform(0, 0.2),
        gross=rng.uniform(0, 0.15),
        classes=tuple(map(tuple, rng.normal(0, 0.35, (len(CLASSES), len(LATENTS))).tolist())),
        mix=tuple(rng.dirichlet([4, 4, 4]).tolist()),
    )


def simulate(n: int, cohort: Cohort, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Simulate the patients of one cohort: 20 columns, shape (n, 20), and labels, shape (n,)."""
    truth = rng.choice(CLASSES, size=n, p=cohort.mix)
    rows = [_patient(str(label), cohort, rng) for label in truth]
    wrong = rng.random(n) < cohort.wrong
    others = [rng.choice([c for c in CLASSES if c != label]) for label in truth]
    return pd.DataFrame(rows, columns=list(COLUMNS)), np.where(wrong, others, truth)


def _patient(label: str, cohort: Cohort, rng: np.random.Generator) -> list[float]:
    sex, _, latents = draw_latents(label, rng)
    normal = MODELS["NOR"].normal(sex)[0]
    own, covariance = MODELS[label].normal(sex)
    other = np.array(cohort.classes[CLASSES.index(label)]) * np.sqrt(np.diag(covariance))
    latents = to_natural(to_transformed(latents) + cohort.milder * (normal - own) + other)
    heart = _heart(dict(zip(LATENTS, latents.tolist(), strict=True)), sex, rng)
    ed = end_diastole(heart)
    return _read(ed, end_systole(heart, ed), cohort, rng)


def _heart(latent: dict[str, float], sex: str, rng: np.random.Generator) -> HeartParameters:
    height = rng.normal(*{"F": (163.0, 6.5), "M": (176.0, 7.0)}[sex])
    weight = float(np.clip(rng.lognormal(np.log(25.5), 0.14), 18, 40)) * (height / 100) ** 2
    bsa = float(np.sqrt(height * weight / 3600))
    edv = latent["lvedvi_ml_m2"] * bsa
    return HeartParameters(
        lvedv_ml=edv,
        lvef=latent["lvef"],
        rvef=latent["rvef"],
        sv_ratio=latent["sv_ratio"],
        myocardium_ml=latent["lvmi_g_m2"] * bsa / DENSITY_G_ML,
        septal_excess=latent["septal_excess"],
        deficit=latent["deficit"],
        thinning=latent["thinning"],
        territory=str(rng.choice(list(TERRITORIES))),
        territory_shift_deg=float(rng.normal(0, 8)),
        territory_scale=float(rng.uniform(0.85, 1.15)),
        septal_centre_deg=float(rng.normal(165, 12)),
        length_mm=84.0 * (edv / 140) ** 0.22 * (height / 170) ** 0.5 * float(np.exp(rng.normal(0, 0.035))),
        apex_mm=float(rng.uniform(4, 6)),
        descent=float(rng.normal(0.27, 0.02)),
    )


def _moved(shape: PhaseShape, cohort: Cohort) -> PhaseShape:
    inner = np.where(shape.endo_mm > 0, np.maximum(shape.endo_mm + cohort.endo_mm, 0.5), 0.0)
    return replace(shape, endo_mm=inner, epi_mm=np.maximum(shape.epi_mm + cohort.epi_mm, inner + 0.5))


def _read(ed: PhaseShape, es: PhaseShape, cohort: Cohort, rng: np.random.Generator) -> list[float]:
    lv, rv, myo, wall = {}, {}, {}, {}
    failed = str(rng.choice(["ed", "es"])) if rng.random() < cohort.gross else ""
    for phase, shape, base in (("ed", ed, cohort.base[0]), ("es", es, cohort.base[1])):
        seen = _moved(shape, cohort)
        noise = rng.normal(0, [cohort.scatter_lv, cohort.scatter_rv, cohort.scatter_lv])
        noise[:2] += rng.normal(0, 0.5, 2) * (phase == failed)
        lv[phase] = 1000 * seen.lv_ml() * np.exp(base + noise[0])
        rv[phase] = 1000 * seen.rv_ml() * np.exp(base + cohort.rv + noise[1])
        myo[phase] = 1000 * seen.myocardium_ml() * np.exp(base + noise[2])
        wall[phase] = _wall(seen, cohort, rng)
    return [
        lv["ed"],
        lv["es"],
        rv["ed"],
        rv["es"],
        myo["ed"],
        myo["es"],
        1 - lv["es"] / lv["ed"],
        1 - rv["es"] / rv["ed"],
        lv["ed"] / rv["ed"],
        lv["es"] / rv["es"],
        myo["ed"] / lv["ed"],
        myo["es"] / lv["es"],
        *wall["es"],
        *wall["ed"],
    ]


def _wall(shape: PhaseShape, cohort: Cohort, rng: np.random.Generator) -> np.ndarray:
    """Return max and sd over slices of the mean thickness, mean and sd over slices of its sd [mm]."""
    z = shape.z_mm[:N_CAVITY]
    step = max(1, round(_SLICE_MM / float(z[1] - z[0])))
    wall = (shape.epi_mm - shape.endo_mm)[:N_CAVITY][step // 2 :: step]
    # a drawn contour is never smooth: about 1 mm of roughness, another in each slice
    mean, sd = wall.mean(axis=1), np.hypot(wall.std(axis=1), rng.lognormal(0, 0.25, len(wall)))
    out = np.array([mean.max(), mean.std(), sd.mean() * np.exp(cohort.rough), sd.std() * np.exp(cohort.rough)])
    return np.maximum(out, 1e-3) * np.exp(rng.normal(0, cohort.scatter_wall * np.array([1, 2, 1.5, 3])))
