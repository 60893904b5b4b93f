"""What distinguishes the groups of the simulated map cohorts: latent quantities, their densities, their sources.

Nine latent quantities describe a patient. On their transformed scale (log for what is positive by nature, else
as they are) they are jointly normal within a group, with one correlation for all groups, so the density of a
patient under every group is known exactly. Everything else (sex, age, body size, haematocrit, blood, site,
position, noise) has the same distribution in every group.

Published are mean and standard deviation of native T1, ECV and T2 (below). Where patients and controls come
from another method or a scanner with another normal value, the published difference is added to the normal
value used here. Volumes are those of [1]_ divided by 1.85 m2, or as in the cine cohort
(:mod:`radiocard.simulate.classes`); mass, septal excess and texture are choices.

References
----------
.. [1] Zhan et al., Iran J Radiol 18 (2021) e113335, doi:10.5812/iranjradiol.113335: native T1 at 3 T, controls
   1243 (42), hypertrophic cardiomyopathy 1304 (42), hypertensive heart disease 1309 (62), amyloidosis 1449 (68)
   ms; LV end-diastolic volume 145 (21), 133 (26), 177 (45), 125 (57) mL.
.. [2] Scientific Reports 8 (2018), doi:10.1038/s41598-018-27049-1, table 2: ECV at 3 T, controls 24 (2),
   hypertensive hypertrophy 28 (4), hypertrophic cardiomyopathy 28 (3) %; T1 of blood 1785 (158) ms in
   controls, after contrast agent 397 (33) ms.
.. [3] Scientific Reports 11 (2021), doi:10.1038/s41598-021-94650-2, table 3: ECV in amyloidosis 50 (9) %.
.. [4] J Cardiovasc Magn Reson 17 Suppl 1 (2015) P288, doi:10.1186/1532-429X-17-S1-P288: ECV at 3 T in dilated
   cardiomyopathy 30.7 %, controls 25.6 %. Yanagisawa et al., Magn Reson Med Sci 17 (2018) 12,
   doi:10.2463/mrms.mp.2017-0136: septal native T1 without late enhancement 1288 ms, controls 1209 ms. Standard
   deviations between patients are choices.
.. [5] Ferreira et al., J Cardiovasc Magn Reson 16 (2014) 36, doi:10.1186/1532-429X-16-36: native T1 at 1.5 T
   (ShMOLLI), controls 946 (23), acute myocarditis 1011 (64) ms.
.. [6] J Cardiovasc Magn Reson 19 (2017) 38, doi:10.1186/s12968-017-0350-x, figure 3: T2, controls 60.0 (4.2),
   acute myocarditis 68.1 (5.8) ms.
.. [7] Dabir et al., J Cardiovasc Magn Reson 21 (2019), doi:10.1186/s12968-019-0568-x: global ECV tells
   myocarditis from controls with an area under the curve of 0.731; mean and standard deviation are chosen so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Moments = tuple[float, float]
MapTask = Literal["t1-amyloid", "dcm", "myocarditis", "hhd-hcm"]
Pattern = Literal["insertion", "septal-patches", "subendocardial", "septal-stripe", "subepicardial"]

_CORRELATED: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("t1_ms", "ecv_pct"): 0.6,
        ("t1_ms", "t2_ms"): 0.5,
        ("t1_ms", "focal_ms"): 0.3,
        ("lvedvi_ml_m2", "lvmi_g_m2"): 0.4,
        ("lvmi_g_m2", "septal_excess"): 0.2,
    }
)
_AS_THEY_ARE = ("t1_ms", "t2_ms", "gradient_ms")


@dataclass(frozen=True)
class MapClass:
    """Distribution of one group: (mean, standard deviation) of each latent.

    Parameters
    ----------
    t1_ms, t2_ms : (float, float)
        Native T1 and T2, mean over the myocardium [ms]; normal.
    ecv_pct, lvedvi_ml_m2, lvmi_g_m2 : (float, float)
        Extracellular volume [%], cavity volume and mass per body surface; lognormal with these moments.
    septal_excess : (float, float)
        How much thicker the septum is than the free wall (0.1 = 10 %); median and log standard deviation.
    grain_ms, focal_ms : (float, float)
        Native T1 of the fine texture (standard deviation) and of the focal pattern (peak) [ms]; median and
        log standard deviation.
    gradient_ms : (float, float)
        Native T1 at the endocardium minus at the epicardium [ms]; normal.
    pattern : str
        Where the focal pattern lies, see :func:`radiocard.simulate.map_structure.focal_pattern`.
    """

    t1_ms: Moments
    ecv_pct: Moments
    t2_ms: Moments
    lvedvi_ml_m2: Moments
    lvmi_g_m2: Moments
    septal_excess: Moments
    grain_ms: Moments
    focal_ms: Moments
    gradient_ms: Moments
    pattern: Pattern

    def normal(self) -> tuple[Float, Float]:
        """Return mean, shape (9,), and standard deviation, shape (9,), on the transformed scale."""
        mean, sd = np.array([_transformed(name, getattr(self, name)) for name in LATENTS]).T
        return mean, sd


LATENTS: tuple[str, ...] = tuple(f.name for f in fields(MapClass) if f.name != "pattern")
GLOBAL_LATENTS = ("t1_ms", "ecv_pct", "lvedvi_ml_m2", "lvmi_g_m2", "septal_excess")


def _transformed(name: str, moments: Moments) -> Moments:
    first, second = moments
    if name in _AS_THEY_ARE:
        return first, second
    if name in ("septal_excess", "grain_ms", "focal_ms"):
        return float(np.log(first)), second
    var = float(np.log1p((second / first) ** 2))
    return float(np.log(first)) - var / 2, var**0.5


def correlation(latents: tuple[str, ...] = LATENTS) -> Float:
    """Return the correlation of some transformed latents, one for all groups."""
    out = np.eye(len(latents))
    for (a, b), value in _CORRELATED.items():
        if a in latents and b in latents:
            i, j = latents.index(a), latents.index(b)
            out[i, j] = out[j, i] = value
    return out


def to_natural(z: Float) -> Float:
    """Turn transformed latents, shape (..., 9), into natural units."""
    plain = np.isin(LATENTS, _AS_THEY_ARE)
    return np.where(plain, z, np.exp(np.where(plain, 0.0, z)))


_T2_3T = (45.0, 2.5)  # the same in every group: tasks at 3 T have no T2 map

_NOR_3T = MapClass(
    t1_ms=(1243, 42),
    ecv_pct=(24, 2),
    t2_ms=_T2_3T,
    lvedvi_ml_m2=(78, 11),
    lvmi_g_m2=(49, 8),
    septal_excess=(0.14, 0.6),
    grain_ms=(20, 0.3),
    focal_ms=(30, 0.6),
    gradient_ms=(0, 15),
    pattern="insertion",
)
_HCM_3T = MapClass(
    t1_ms=(1304, 42),
    ecv_pct=(28, 3),
    t2_ms=_T2_3T,
    lvedvi_ml_m2=(72, 14),
    lvmi_g_m2=(80, 18),
    septal_excess=(0.80, 0.5),
    grain_ms=(30, 0.3),
    focal_ms=(90, 0.6),
    gradient_ms=(0, 20),
    pattern="septal-patches",
)
_HHD_3T = MapClass(
    t1_ms=(1309, 62),
    ecv_pct=(28, 4),
    t2_ms=_T2_3T,
    lvedvi_ml_m2=(96, 24),
    lvmi_g_m2=(74, 15),
    septal_excess=(0.30, 0.6),
    grain_ms=(26, 0.3),
    focal_ms=(45, 0.6),
    gradient_ms=(5, 20),
    pattern="insertion",
)
_AMYL_3T = MapClass(
    t1_ms=(1449, 68),
    ecv_pct=(50, 9),
    t2_ms=_T2_3T,
    lvedvi_ml_m2=(68, 25),
    lvmi_g_m2=(84, 18),
    septal_excess=(0.40, 0.6),
    grain_ms=(36, 0.3),
    focal_ms=(60, 0.6),
    gradient_ms=(50, 30),
    pattern="subendocardial",
)
_DCM_3T = MapClass(
    t1_ms=(1243 + 79, 55),
    ecv_pct=(24 + 5.1, 3.5),
    t2_ms=_T2_3T,
    lvedvi_ml_m2=(118, 27),
    lvmi_g_m2=(66, 15),
    septal_excess=(0.14, 0.6),
    grain_ms=(27, 0.3),
    focal_ms=(55, 0.6),
    gradient_ms=(-5, 20),
    pattern="septal-stripe",
)
_NOR_1_5T = MapClass(
    t1_ms=(946, 23),
    ecv_pct=(27, 3),
    t2_ms=(60.0, 4.2),
    lvedvi_ml_m2=(78, 11),
    lvmi_g_m2=(49, 8),
    septal_excess=(0.14, 0.6),
    grain_ms=(16, 0.3),
    focal_ms=(30, 0.6),
    gradient_ms=(0, 12),
    pattern="insertion",
)
_MYOC_1_5T = MapClass(
    t1_ms=(1011, 64),
    ecv_pct=(30, 4),
    t2_ms=(68.1, 5.8),
    lvedvi_ml_m2=(84, 15),
    lvmi_g_m2=(53, 9),
    septal_excess=(0.14, 0.6),
    grain_ms=(22, 0.3),
    focal_ms=(75, 0.6),
    gradient_ms=(-15, 15),
    pattern="subepicardial",
)

TASKS: Mapping[str, Mapping[str, MapClass]] = MappingProxyType(
    {
        "t1-amyloid": MappingProxyType({"NOR": _NOR_3T, "HCM": _HCM_3T, "AMYL": _AMYL_3T}),
        "dcm": MappingProxyType({"NOR": _NOR_3T, "DCM": _DCM_3T}),
        "myocarditis": MappingProxyType({"NOR": _NOR_1_5T, "MYOC": _MYOC_1_5T}),
        "hhd-hcm": MappingProxyType({"HHD": _HHD_3T, "HCM": _HCM_3T}),
    }
)
FIELD_STRENGTH_T: Mapping[str, float] = MappingProxyType(
    {"t1-amyloid": 3.0, "dcm": 3.0, "myocarditis": 1.5, "hhd-hcm": 3.0}
)
SEX_FACTOR: Mapping[str, float] = MappingProxyType({"F": 0.88, "M": 1.12})  # of volume and mass indices


def draw_map_latents(model: MapClass, rng: np.random.Generator) -> dict[str, float]:
    """Draw the latents of one patient, in natural units."""
    mean, sd = model.normal()
    z = mean + sd * (np.linalg.cholesky(correlation()) @ rng.standard_normal(len(LATENTS)))
    return dict(zip(LATENTS, to_natural(z).tolist(), strict=True))
