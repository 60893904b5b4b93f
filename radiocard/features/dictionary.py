"""The list of features as plain data, and as a page of the documentation."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from radiocard.errors import UsageError
from radiocard.features.catalogue import FEATURES, INVARIANCES, Feature
from radiocard.specs import Family

TITLES = {
    "shape_3d": "Shape in space, and how brightness lies in it (`shape_3d`)",
    "shape_2d": "Shape in the largest slice (`shape_2d`)",
    "local_intensity": "Local intensity (`local_intensity`)",
    "intensity": "Intensity statistics (`intensity`)",
    "histogram": "Intensity histogram (`histogram`)",
    "ivh": "Intensity-volume histogram (`ivh`)",
    "glcm": "Grey level co-occurrence matrix (`glcm`)",
    "glrlm": "Grey level run length matrix (`glrlm`)",
    "glszm": "Grey level size zone matrix (`glszm`)",
    "gldzm": "Grey level distance zone matrix (`gldzm`)",
    "ngtdm": "Neighbourhood grey tone difference matrix (`ngtdm`)",
    "ngldm": "Neighbouring grey level dependence matrix (`ngldm`)",
}
_INTRODUCTION = """\
# Features

{n} features in {n_families} families, made from the list that the code itself reads. This page is
written by `radiocard features --markdown > docs/reference/features.md`; the same as data:
`radiocard features --json`.

**Tag**: name of the IBSI reference sheet, in lower case; MIRP's name wherever there is a code. In a
column it is followed by aggregation, distance, coarseness, weights and discretisation, each only
where it changes the value: `cm_joint_entr_2d_avg_fbn32`. **Code**: permanent identifier in the
[IBSI manual](https://arxiv.org/abs/1612.07003), where the formula stands; without one the formula
stands in the [documentation of PyRadiomics](https://pyradiomics.readthedocs.io/en/v3.0.1/features.html).
**PyRadiomics**: class and name there; *in italics* where it is deprecated and computed only if asked
for by name. A tag with a dagger (†) belongs to `convention: pyradiomics` only. Units: `grey value` is
the unit of the image after normalisation, `grey level` is the number of a bin.

**Unchanged by** lists what does not change the value, as follows from the formula:

{legend}

With a fixed bin size (`fbs`), adding a constant changes no texture feature under `ibsi`, where the
first bin begins at the region's minimum, unless a re-segmentation range fixes the first edge; under
`pyradiomics` bin edges are multiples of the width, so only whole bins may be added. Multiplying
changes the bins, and so the values.
"""


def dictionary(family: str | None = None) -> list[dict[str, Any]]:
    """Return every feature as plain data, in the order of the families.

    Parameters
    ----------
    family : str, optional
        Only this family, for example ``glcm``.

    Returns
    -------
    list of dict
        ``tag, family, convention, name, meaning, unit, ibsi_code, formula, invariances,
        pyradiomics, pyradiomics_deprecated, mirp`` of each feature; None where there is none.

    Raises
    ------
    UsageError
        If there is no such family.

    Examples
    --------
    >>> [entry["tag"] for entry in dictionary("local_intensity")]
    ['loc_peak_loc', 'loc_peak_glob']
    """
    if family is not None and family not in get_args(Family):
        close = difflib.get_close_matches(family, get_args(Family), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Families: {', '.join(get_args(Family))}."
        msg = f"There is no feature family {family!r}."
        raise UsageError(msg, hint=hint)
    return [_entry(feature) for feature in FEATURES.values() if family in {None, feature.family}]


def dictionary_page() -> str:
    """Return the page ``docs/reference/features.md``."""
    legend = "\n".join(f"* **{name}**: {meaning};" for name, meaning in INVARIANCES.items())
    families = [family for family in get_args(Family) if any(f.family == family for f in FEATURES.values())]
    head = _INTRODUCTION.format(n=len(FEATURES), n_families=len(families), legend=legend[:-1] + ".")
    return "\n".join([head, *(line for family in families for line in _section(family))])


def _entry(feature: Feature) -> dict[str, Any]:
    return {
        "tag": feature.tag,
        "family": feature.family,
        "convention": feature.convention,
        "name": feature.name,
        "meaning": feature.meaning,
        "unit": feature.unit,
        "ibsi_code": feature.ibsi_code,
        "formula": feature.formula,
        "invariances": list(feature.invariances),
        "pyradiomics": feature.pyradiomics,
        "pyradiomics_deprecated": feature.pyradiomics_deprecated,
        "mirp": feature.mirp,
    }


def _section(family: str) -> Iterator[str]:
    features = [f for f in FEATURES.values() if f.family == family]
    shared = [name for name in INVARIANCES if all(name in f.invariances for f in features)]
    yield f"## {TITLES[family]}"
    yield ""
    yield f"All unchanged by {', '.join(shared)}."
    yield ""
    yield "| tag | code | name | meaning | unit | PyRadiomics | also unchanged by |"
    yield "|---|---|---|---|---|---|---|"
    for feature in features:
        tag = f"`{feature.tag}`{'' if feature.convention == 'both' else ' †'}"
        theirs = [f"`{feature.pyradiomics}`"] if feature.pyradiomics else []
        theirs += [f"*{feature.pyradiomics_deprecated}*"] if feature.pyradiomics_deprecated else []
        others = ", ".join(name for name in feature.invariances if name not in shared)
        cells = (tag, feature.ibsi_code or "", feature.name, feature.meaning, feature.unit, ", ".join(theirs), others)
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
    yield ""
