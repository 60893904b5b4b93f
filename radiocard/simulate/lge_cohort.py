"""A simulated cohort of late gadolinium stacks: scar that begins at the endocardium, and scar that spares it.

Place, extent and depth of the scars are choices; no distribution of a real cohort is claimed. Hearts,
body, position and noise are drawn alike in both groups.
"""

from __future__ import annotations

import numpy as np

from radiocard.errors import UsageError
from radiocard.image import LGE, STILL, Case
from radiocard.simulate.cohort import SimulatedCase
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters

LGE_CLASSES = ("ISCH", "NISCH")
_TERRITORIES_DEG = (120.0, 240.0, 350.0)
_SEPTUM_DEG, _LATERAL_DEG = 180.0, 330.0
_MID_WALL_SHARE = 0.6
_NO_REFLOW_SHARE = 0.3
_ORDER, _PATIENT, _PERMUTATION = 30, 31, 32


def simulate_lge_cohort(*, per_class: int = 14, seed: int, permute_classes: bool = False) -> list[SimulatedCase]:
    """Simulate patients with ischaemic and non-ischaemic scar.

    Parameters
    ----------
    per_class : int
        Patients per group.
    seed : int
        Every draw follows from it.
    permute_classes : bool
        Shuffle the diagnoses over the patients.

    Returns
    -------
    list of SimulatedCase
        Image and mask under ``("lge", "")``; the scar itself is not drawn in the mask. ``truth`` as of
        :func:`radiocard.simulate.lge.simulate_lge`.

    Raises
    ------
    UsageError
        If ``per_class`` is below 1 or ``seed`` negative.
    """
    if per_class < 1 or seed < 0:
        msg = f"per_class is {per_class} and seed {seed}, expected at least 1 and 0."
        raise UsageError(msg)
    groups = [
        LGE_CLASSES[i] for block in range(per_class) for i in _stream(seed, _ORDER, block).permutation(len(LGE_CLASSES))
    ]
    labels = list(_stream(seed, _PERMUTATION, 0).permutation(groups)) if permute_classes else groups
    return [
        _patient(group, str(label), index, seed)
        for index, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]


def draw_scar(group: str, rng: np.random.Generator) -> ScarParameters:
    """Draw the scar of one patient of a group."""
    width, low = float(rng.uniform(40, 110)), float(rng.uniform(0.05, 0.35))
    high = low + float(rng.uniform(0.35, 0.6))
    if group == "ISCH":
        dark = float(rng.uniform(0.2, 0.5)) if rng.random() < _NO_REFLOW_SHARE else 0.0
        centre = float(rng.choice(_TERRITORIES_DEG) + rng.normal(0, 10))
        return ScarParameters("subendocardial", centre, width, low, high, float(rng.uniform(0.3, 1.0)), dark)
    if rng.random() < _MID_WALL_SHARE:
        depth = float(rng.uniform(0.25, 0.45))
        return ScarParameters("mid_wall", _SEPTUM_DEG + float(rng.normal(0, 15)), width, low, high, depth)
    depth = float(rng.uniform(0.25, 0.5))
    return ScarParameters("subepicardial", _LATERAL_DEG + float(rng.normal(0, 15)), width, low, high, depth)


def _patient(group: str, label: str, index: int, seed: int) -> SimulatedCase:
    rng = _stream(seed, _PATIENT, index)
    made = simulate_lge(
        draw_scar(group, rng), seed=int(rng.integers(2**31)), noise=float(rng.uniform(0.03, 0.06)),
        border_mm=float(rng.uniform(1.0, 3.0)),
    )  # fmt: skip
    sex = "M" if rng.random() < 0.7 else "F"
    age = round(float(np.clip(rng.normal(58, 12), 18, 88)))
    clinical = {"diagnosis": label, "sex": sex, "age_y": age, "site": "A", "field_strength_t": 1.5}
    key = (LGE, STILL)
    case = Case(f"lge-{index + 1:03d}", {key: made.image}, {key: made.mask}, clinical, simulated=True)
    return SimulatedCase(case, made.truth, {"group": group, **made.parameters})


def _stream(seed: int, kind: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, index)))
