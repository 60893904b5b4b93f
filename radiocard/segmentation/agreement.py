"""How far predicted masks agree with reference masks over patients: overlap, volumes, function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radiocard.errors import UsageError
from radiocard.image import LabelMap, Phase
from radiocard.segmentation.differences import Differences, Spread, bland_altman, mean_over
from radiocard.segmentation.overlap import RegionOverlap, compare_masks

Values = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class PatientAgreement:
    """Agreement of the masks of one patient.

    Parameters
    ----------
    patient_id : str
        Pseudonym.
    regions : mapping of (phase, region) to RegionOverlap
        One per phase and region.
    measured, reference : mapping of str to float or None
        Clinical columns of the predicted and of the reference masks, see :func:`mask_measures`.
    """

    patient_id: str
    regions: Mapping[tuple[str, str], RegionOverlap]
    measured: Values
    reference: Values


@dataclass(frozen=True, eq=False)
class AgreementSummary:
    """Agreement over patients.

    Parameters
    ----------
    dice, hd95_mm : dict of str to Spread
        By phase and region, for example ``ed/lv_cavity``.
    measures : dict of str to Differences
        By clinical column.
    n_patients : int
        All patients.
    """

    dice: dict[str, Spread]
    hd95_mm: dict[str, Spread]
    measures: dict[str, Differences]
    n_patients: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "n_patients": self.n_patients,
            "dice": {k: v.to_dict() for k, v in self.dice.items()},
            "hd95_mm": {k: v.to_dict() for k, v in self.hd95_mm.items()},
            "measures": {k: v.to_dict() for k, v in self.measures.items()},
        }


def mask_measures(masks: Mapping[Phase, LabelMap], *, myocardial_density_g_ml: float) -> Values:
    """Return volumes, ejection fractions and mass of the masks of one patient.

    Unlike :func:`radiocard.cardiac.function.function_values`, an empty region is not refused: a network
    may miss one.

    Parameters
    ----------
    masks : mapping of {'ed', 'es'} to LabelMap
        Both phases, or one.
    myocardial_density_g_ml : float
        Density [g/mL].

    Returns
    -------
    dict of str to float or None
        ``lvedv_ml, lvesv_ml, lvef_pct, rvedv_ml, rvesv_ml, rvef_pct, lvm_g``; None where the phase is
        not there or the region empty. The mass is that at end-diastole.
    """
    values: Values = {}
    for side in ("lv", "rv"):
        edv, esv = (_volume_ml(masks.get(phase), f"{side}_cavity") for phase in ("ed", "es"))
        values |= {f"{side}edv_ml": edv, f"{side}esv_ml": esv}
        values[f"{side}ef_pct"] = None if edv is None or esv is None else 100.0 * (edv - esv) / edv
    wall = _volume_ml(masks.get("ed"), "lv_myocardium")
    values["lvm_g"] = None if wall is None else wall * myocardial_density_g_ml
    return values


def compare_patient(
    predicted: Mapping[Phase, LabelMap],
    reference: Mapping[Phase, LabelMap],
    *,
    patient_id: str,
    myocardial_density_g_ml: float,
) -> PatientAgreement:
    """Compare the masks of one patient, phase by phase.

    Parameters
    ----------
    predicted, reference : mapping of {'ed', 'es'} to LabelMap
        The same phases in both.
    patient_id : str
        Pseudonym.
    myocardial_density_g_ml : float
        Density [g/mL].

    Returns
    -------
    PatientAgreement

    Raises
    ------
    UsageError
        If the phases differ.
    GeometryError, MaskError
        As :func:`radiocard.segmentation.overlap.compare_masks`.
    """
    if set(predicted) != set(reference) or not predicted:
        msg = (
            f"Predicted masks are of {_listed(predicted)}, reference masks of {_listed(reference)}; expected the same."
        )
        raise UsageError(msg, case=patient_id)
    regions: dict[tuple[str, str], RegionOverlap] = {
        (phase, region): overlap
        for phase in sorted(predicted)
        for region, overlap in compare_masks(predicted[phase], reference[phase], case=patient_id).items()
    }
    density = myocardial_density_g_ml
    measured, truth = (mask_measures(m, myocardial_density_g_ml=density) for m in (predicted, reference))
    return PatientAgreement(patient_id, regions, measured, truth)


def summarise(
    patients: Sequence[PatientAgreement],
    *,
    n_bootstrap: int,
    random_state: int,
    groups: Mapping[str, str] | None = None,
) -> AgreementSummary:
    """Summarise the agreement of all patients.

    Parameters
    ----------
    patients : sequence of PatientAgreement
        One per patient, all with the same phases.
    n_bootstrap, random_state : int
        Number of resamples of patients; seed.
    groups : mapping of str to str, optional
        Patient identifier to the person it is; identifiers that are not in it stand for themselves.

    Returns
    -------
    AgreementSummary

    Raises
    ------
    UsageError
        If there is no patient, one occurs twice, or the phases differ.
    """
    ids = [p.patient_id for p in patients]
    keys = {tuple(p.regions) for p in patients}
    if not patients or len(set(ids)) < len(ids) or len(keys) > 1:
        msg = f"There are {len(ids)} patients, {len(set(ids))} of them different, with {len(keys)} sets of phases."
        raise UsageError(msg, hint="Give each patient once, all with the same phases.")
    persons = [(groups or {}).get(name, name) for name in ids]

    def score(name: str, key: tuple[str, str], better: int) -> Spread:
        values = [getattr(p.regions[key], name) for p in patients]
        return mean_over(values, better=better, n_bootstrap=n_bootstrap, random_state=random_state, groups=persons)

    def differences(column: str) -> Differences:
        predicted, reference = ([getattr(p, side)[column] for p in patients] for side in ("measured", "reference"))
        options = {"n_bootstrap": n_bootstrap, "random_state": random_state}
        return bland_altman(predicted, reference, groups=persons, **options)

    (found,) = keys
    return AgreementSummary(
        dice={"/".join(key): score("dice", key, 1) for key in found},
        hd95_mm={"/".join(key): score("hd95_mm", key, -1) for key in found},
        measures={column: differences(column) for column in patients[0].measured},
        n_patients=len(ids),
    )


def _volume_ml(mask: LabelMap | None, region: str) -> float | None:
    if mask is None or region not in mask.labels:
        return None
    n = int((mask.array == mask.labels[region]).sum())
    return n * mask.voxel_volume_ml if n else None


def _listed(phases: Mapping[Phase, LabelMap]) -> str:
    return " and ".join(sorted(phases)) or "no phase"
