"""What distinguishes the five simulated groups: latent physiology, its densities, and their sources.

Eight latent quantities describe a heart. On their transformed scale (log or logit) they are
jointly normal within a group and sex, so the density of a patient under every group is known
exactly; :mod:`radiocard.simulate.bayes` rests on that. Everything else that is drawn (height,
body mass index, infarct territory, shape, scanner, noise) has the same distribution in every
group and therefore tells nothing about the group.

Means and spreads follow the publications below; where a publication gives no value for a
quantity the entry is a choice within the inclusion limits of [6]_, and
``docs/concepts/simulation.md`` says which are choices.

References
----------
.. [1] Petersen et al., JCMR 19 (2017) 18, doi:10.1186/s12968-017-0327-9: healthy adults
   (LVEF 58 (5) % men, 61 (5) % women; LV mass index 53 (9) and 42 (7) g/m2).
.. [2] Mikami et al., JCMR 18 (2016) 82, doi:10.1186/s12968-016-0300-z: dilated cardiomyopathy
   (LVEF 32 (12) %, age 57 (14) y, 42 % women). Merkle et al., JCMR 11 (2009) S1:O17,
   doi:10.1186/1532-429X-11-S1-O17: LVEF 33 (14) %, RVEF 50 (16) %.
.. [3] Lopes et al., Heart 101 (2015) 294, doi:10.1136/heartjnl-2014-306387: hypertrophic
   cardiomyopathy (age 49.6 (15.4) y, 67.8 % men, maximal wall thickness 18.5 (4.4) mm by echocardiography).
.. [4] Yokota et al., JCMR 10 (2008) 17, doi:10.1186/1532-429X-10-17: ischaemic cardiomyopathy
   (LVEF 26 (12) %, LVEDV about 230 mL). Shah et al., JAMA 309 (2013) 909,
   doi:10.1001/jama.2013.1381: regional thinning, end-diastolic wall of at most 5.5 mm.
.. [5] Luijkx et al., doi:10.1177/1741826711414215: arrhythmogenic right ventricle (64 % men,
   45.4 y; men RVEDVi 149 mL/m2, RVEF 34 %, LVEF 48 %; women 115 mL/m2, 43 %, 52 %).
.. [6] Bernard et al., IEEE TMI 37 (2018) 2514, doi:10.1109/TMI.2018.2837502: the five groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

Float = NDArray[np.float64]
Moments = tuple[float, float]

CLASSES = ("NOR", "DCM", "HCM", "MINF", "RV")
SEXES = ("F", "M")
AGE_LIMITS = (18.0, 88.0)

LATENTS = ("lvedvi_ml_m2", "lvef", "rvef", "sv_ratio", "lvmi_g_m2", "septal_excess", "deficit", "thinning")
_LOGIT = np.array([False, True, True, False, False, False, True, True])

_CORRELATED: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("lvedvi_ml_m2", "lvef"): -0.3,
        ("lvedvi_ml_m2", "lvmi_g_m2"): 0.6,
        ("lvef", "rvef"): 0.6,
        ("lvef", "deficit"): -0.3,
        ("deficit", "thinning"): 0.4,
    }
)


@dataclass(frozen=True)
class ClassModel:
    """Distribution of one group.

    Parameters
    ----------
    men : float
        Share of men.
    age_y : (float, float)
        Mean and standard deviation of a normal distribution cut at :data:`AGE_LIMITS` [year].
    lvedvi_ml_m2, lvmi_g_m2 : mapping of sex to (mean, standard deviation)
        Lognormal with these moments.
    lvef, rvef : mapping of sex to (mean, standard deviation)
        Logit-normal; moments as fractions, matched to first order.
    sv_ratio : (float, float)
        Right over left stroke volume, lognormal; above 1 with tricuspid or pulmonary regurgitation.
    septal_excess : (float, float)
        Median and log standard deviation of how much thicker the septum is than the free wall (0.1 = 10 %).
    deficit : (float, float)
        Median and logit standard deviation of the loss of contraction in one coronary territory (1 = akinetic).
    thinning : (float, float)
        Median and logit standard deviation of the loss of end-diastolic thickness in that territory.
    """

    men: float
    age_y: Moments
    lvedvi_ml_m2: Mapping[str, Moments]
    lvef: Mapping[str, Moments]
    rvef: Mapping[str, Moments]
    sv_ratio: Moments
    lvmi_g_m2: Mapping[str, Moments]
    septal_excess: Moments
    deficit: Moments
    thinning: Moments

    def normal(self, sex: str) -> tuple[Float, Float]:
        """Return mean, shape (8,), and covariance, shape (8, 8), on the transformed scale."""
        pairs = [
            _log_moments(self.lvedvi_ml_m2[sex]),
            _logit_moments(self.lvef[sex]),
            _logit_moments(self.rvef[sex]),
            _log_moments(self.sv_ratio),
            _log_moments(self.lvmi_g_m2[sex]),
            (float(np.log(self.septal_excess[0])), self.septal_excess[1]),
            (float(logit(self.deficit[0])), self.deficit[1]),
            (float(logit(self.thinning[0])), self.thinning[1]),
        ]
        mean, sd = np.array(pairs).T
        return mean, correlation() * np.outer(sd, sd)


def _log_moments(moments: Moments) -> Moments:
    mean, sd = moments
    var = np.log1p((sd / mean) ** 2)
    return float(np.log(mean) - var / 2), float(np.sqrt(var))


def _logit_moments(moments: Moments) -> Moments:
    mean, sd = moments
    return float(logit(mean)), sd / (mean * (1 - mean))


def correlation() -> Float:
    """Return the correlation of the transformed latents, one for all groups, shape (8, 8)."""
    out = np.eye(len(LATENTS))
    for (a, b), value in _CORRELATED.items():
        i, j = LATENTS.index(a), LATENTS.index(b)
        out[i, j] = out[j, i] = value
    return out


def to_natural(z: Float) -> Float:
    """Turn transformed latents, shape (..., 8), into natural units."""
    return np.where(_LOGIT, expit(z), np.exp(np.where(_LOGIT, 0.0, z)))


def to_transformed(x: Float) -> Float:
    """Turn latents in natural units, shape (..., 8), into the transformed scale."""
    safe = np.where(_LOGIT, x, 0.5)
    return np.where(_LOGIT, logit(safe), np.log(np.where(_LOGIT, 1.0, x)))


def age_quantile(model: ClassModel, u: Float | float) -> Float:
    """Return the age [year] at a probability ``u`` of the group's age distribution."""
    mean, sd = model.age_y
    low, high = (ndtr((limit - mean) / sd) for limit in AGE_LIMITS)
    return mean + sd * ndtri(low + np.asarray(u) * (high - low))


def age_log_density(model: ClassModel, age_y: Float) -> Float:
    """Return the log density of the group's age distribution within :data:`AGE_LIMITS`."""
    mean, sd = model.age_y
    low, high = (ndtr((limit - mean) / sd) for limit in AGE_LIMITS)
    return -0.5 * ((age_y - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi) * (high - low))


def _both(moments: Moments) -> Mapping[str, Moments]:
    return {"F": moments, "M": moments}


MODELS: Mapping[str, ClassModel] = MappingProxyType(
    {
        "NOR": ClassModel(
            men=0.46,
            age_y=(55, 13),
            lvedvi_ml_m2={"F": (74, 12), "M": (85, 15)},
            lvef={"F": (0.61, 0.05), "M": (0.58, 0.05)},
            rvef={"F": (0.58, 0.06), "M": (0.54, 0.06)},
            sv_ratio=(1.0, 0.06),
            lvmi_g_m2={"F": (42, 7), "M": (53, 9)},
            septal_excess=(0.12, 0.6),
            deficit=(0.12, 0.6),
            thinning=(0.05, 0.6),
        ),
        "DCM": ClassModel(
            men=0.58,
            age_y=(57, 14),
            lvedvi_ml_m2={"F": (112, 26), "M": (124, 28)},
            lvef=_both((0.33, 0.10)),
            rvef=_both((0.46, 0.11)),
            sv_ratio=(1.0, 0.06),
            lvmi_g_m2={"F": (60, 13), "M": (72, 16)},
            septal_excess=(0.12, 0.6),
            deficit=(0.28, 0.9),
            thinning=(0.09, 0.7),
        ),
        "HCM": ClassModel(
            men=0.68,
            age_y=(49.6, 15.4),
            lvedvi_ml_m2={"F": (72, 13), "M": (79, 15)},
            lvef=_both((0.66, 0.08)),
            rvef=_both((0.60, 0.08)),
            sv_ratio=(1.0, 0.06),
            lvmi_g_m2={"F": (82, 24), "M": (95, 28)},
            septal_excess=(0.95, 0.6),
            deficit=(0.18, 0.7),
            thinning=(0.05, 0.6),
        ),
        "MINF": ClassModel(
            men=0.80,
            age_y=(62, 11),
            lvedvi_ml_m2={"F": (94, 22), "M": (106, 26)},
            lvef=_both((0.39, 0.10)),
            rvef=_both((0.51, 0.09)),
            sv_ratio=(1.0, 0.06),
            lvmi_g_m2={"F": (50, 10), "M": (61, 12)},
            septal_excess=(0.12, 0.6),
            deficit=(0.76, 1.0),
            thinning=(0.30, 0.8),
        ),
        "RV": ClassModel(
            men=0.64,
            age_y=(45.4, 15),
            lvedvi_ml_m2={"F": (80, 15), "M": (93, 18)},
            lvef={"F": (0.53, 0.07), "M": (0.50, 0.07)},
            rvef={"F": (0.43, 0.08), "M": (0.37, 0.09)},
            sv_ratio=(1.08, 0.10),
            lvmi_g_m2={"F": (43, 8), "M": (54, 10)},
            septal_excess=(0.12, 0.6),
            deficit=(0.14, 0.6),
            thinning=(0.05, 0.6),
        ),
    }
)


def draw_latents(name: str, rng: np.random.Generator) -> tuple[str, float, Float]:
    """Draw sex, age [year] and the eight latents in natural units, shape (8,), of one patient of a group."""
    model = MODELS[name]
    sex = "M" if rng.random() < model.men else "F"
    age = float(age_quantile(model, rng.random()))
    mean, cov = model.normal(sex)
    z = mean + np.linalg.cholesky(cov) @ rng.standard_normal(len(LATENTS))
    return sex, age, to_natural(z)
