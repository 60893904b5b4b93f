"""Contributions of single columns added up to clinical families."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from radiocard.explain.shap_values import Explanation
from radiocard.features.registry import ColumnInfo

Describe = Callable[[str], ColumnInfo | None]

OTHER = "other"
TEXTURE_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "intensity": "Signal intensity",
        "local_intensity": "Signal intensity",
        "histogram": "Signal intensity histogram",
        "ivh": "Signal intensity histogram",
        **dict.fromkeys(("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"), "Texture"),
        "shape_3d": "Region shape",
        "shape_2d": "Region shape in slices",
    }
)


@dataclass(frozen=True, slots=True)
class FamilyShare:
    """What one family of columns contributed to one class.

    Parameters
    ----------
    family : str
        Name of the family in words.
    contribution : float
        Sum of the SHAP values, in the scale of the explanation.
    columns : tuple of str
        Columns of the family that contributed, largest magnitude first.
    """

    family: str
    contribution: float
    columns: tuple[str, ...]


def family_name(info: ColumnInfo | None) -> str:
    """Return the family of a column in words; ``other`` for a column without dictionary entry."""
    return OTHER if info is None else TEXTURE_FAMILIES.get(info.family, info.family)


def group_families(explanation: Explanation, label: str, *, describe: Describe, row: int = 0) -> list[FamilyShare]:
    """Add up the contributions to one class by clinical family.

    Parameters
    ----------
    explanation : Explanation
    label : str
        Class.
    describe : callable
        Column to its dictionary entry, or None.
    row : int
        Patient within the explanation.

    Returns
    -------
    list of FamilyShare
        Largest magnitude first. Families without a contributing column are left out; the sum of
        all contributions is that of the explanation.

    Raises
    ------
    UsageError
        If the model does not know the class.
    """
    members: dict[str, list[tuple[str, float]]] = {}
    for column, phi in explanation.ranked(label, row=row):
        if phi != 0.0:
            members.setdefault(family_name(describe(column)), []).append((column, phi))
    shares = [
        FamilyShare(family, sum(phi for _, phi in rows), tuple(column for column, _ in rows))
        for family, rows in members.items()
    ]
    return sorted(shares, key=lambda s: (-abs(s.contribution), s.family))
