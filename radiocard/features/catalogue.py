"""Every feature that radiocard computes: its names, its code, its unit and its meaning in words.

The list itself is ``features.csv`` beside this file. Tags are those of the IBSI reference sheet
[1]_ in lower case; planar shape, which has no IBSI code, has tags that begin with ``morph_2d``.

References
----------
.. [1] Zwanenburg et al., Image biomarker standardisation initiative, arXiv:1612.07003
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal, cast, get_args

from radiocard.specs import Family

# Classes of PyRadiomics whose deprecated features still return a value when asked for by name.
_STILL_COMPUTED = ("firstorder_", "shape_", "shape2D_")


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, whatever the region, filter, aggregation and discretisation.

    Parameters
    ----------
    tag : str
        IBSI tag without aggregation and discretisation, for example ``cm_joint_entr``.
    family : str
        Family of the specification that asks for it.
    convention : {'both', 'pyradiomics'}
        Whether it is part of both conventions or of PyRadiomics' only.
    ibsi_code : str or None
        Code in the IBSI reference manual.
    unit : str
        Unit, empty for a pure number.
    pyradiomics : str or None
        Feature of the same definition in PyRadiomics 3, with its class (``glcm_JointEntropy``).
    pyradiomics_deprecated : str or None
        Another, deprecated name there; PyRadiomics leaves it out unless it is named.
    mirp : str or None
        Name in MIRP, without its parameters.
    formula : str
        Where the formula stands: codes of family and feature in the IBSI manual, or the name of
        the feature in the documentation of PyRadiomics.
    invariances : tuple of str
        What does not change the value, see :data:`INVARIANCES`.
    name : str
        Plain name.
    meaning : str
        One sentence in words a clinician understands.
    """

    tag: str
    family: Family
    convention: Literal["both", "pyradiomics"]
    ibsi_code: str | None
    unit: str
    pyradiomics: str | None
    pyradiomics_deprecated: str | None
    mirp: str | None
    formula: str
    invariances: tuple[str, ...]
    name: str
    meaning: str

    @property
    def pyradiomics_names(self) -> tuple[str, ...]:
        """All names in PyRadiomics 3, the deprecated one last."""
        return tuple(name for name in (self.pyradiomics, self.pyradiomics_deprecated) if name)

    @property
    def pyradiomics_computed(self) -> str | None:
        """Name for which PyRadiomics 3 returns a value, if there is one."""
        if self.pyradiomics is None and (self.pyradiomics_deprecated or "").startswith(_STILL_COMPUTED):
            return self.pyradiomics_deprecated
        return self.pyradiomics


INVARIANCES: Mapping[str, str] = MappingProxyType(
    {
        "translation": "the region and its image moved together by whole voxels",
        "storage order": "the same image stored with other array axes (convention ibsi)",
        "arrangement": "the voxels of the region rearranged",
        "voxel size": "all voxel spacings multiplied by one factor (without distance weights)",
        "intensity": "any other grey values in the same region",
        "intensity shift": "a constant added to all grey values",
        "intensity scale": "all grey values multiplied by one positive factor",
        "intensity shift (fbn)": "as intensity shift, when discretised to a fixed bin number",
        "intensity scale (fbn)": "as intensity scale, when discretised to a fixed bin number",
        "level permutation": "grey levels exchanged for one another (with coarseness 0)",
    }
)


def _read() -> Mapping[str, Feature]:
    text = resources.files("radiocard.features").joinpath("features.csv").read_text(encoding="utf-8")
    families = {str(name): cast(Family, name) for name in get_args(Family)}
    found = {}
    for row in csv.DictReader(text.splitlines()):
        found[row["tag"]] = Feature(
            tag=row["tag"],
            family=families[row["family"]],
            convention="pyradiomics" if row["convention"] == "pyradiomics" else "both",
            ibsi_code=row["ibsi_code"] or None,
            unit=row["unit"],
            pyradiomics=row["pyradiomics"] or None,
            pyradiomics_deprecated=row["pyradiomics_deprecated"] or None,
            mirp=row["mirp"] or None,
            formula=row["formula"],
            invariances=tuple(row["invariances"].split(", ")),
            name=row["name"],
            meaning=row["meaning"],
        )
    return MappingProxyType(found)


FEATURES: Mapping[str, Feature] = _read()
BY_PYRADIOMICS: Mapping[str, Feature] = MappingProxyType(
    {name: feature for feature in FEATURES.values() for name in feature.pyradiomics_names}
)
