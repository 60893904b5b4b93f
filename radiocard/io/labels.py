"""Label conventions of masks: stated by a layout or a manifest, never guessed."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from radiocard.errors import CohortError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, REGION_NAMES, REGIONS, SCAR_REGIONS

CONVENTIONS: Mapping[str, Mapping[str, int]] = MappingProxyType({"acdc": LABELS_ACDC, "mnms": LABELS_MNMS})
_TITLES = {"acdc": "ACDC", "mnms": "M&Ms"}
_KNOWN = (*REGIONS, *SCAR_REGIONS)


def parse_labels(text: str, *, case: str) -> dict[str, int]:
    """Return the label numbers that a manifest cell states.

    Parameters
    ----------
    text : str
        ``acdc``, ``mnms``, or pairs such as ``lv_cavity=3;lv_myocardium=2;rv_cavity=1``; scar that was
        drawn is ``lv_scar`` and ``no_reflow``.
    case : str
        Patient identifier, for messages.

    Returns
    -------
    dict of str to int
        Region name to label number.

    Raises
    ------
    CohortError
        If a region is unknown, or a number is not whole, not positive or used twice.
    """
    text = text.strip().casefold()
    if text in CONVENTIONS:
        return dict(CONVENTIONS[text])
    out: dict[str, int] = {}
    for part in filter(None, re.split(r"[;,\s]+", text)):
        region, _, number = part.partition("=")
        if region not in _KNOWN:
            close = difflib.get_close_matches(region, [*_KNOWN, *CONVENTIONS], n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join([*CONVENTIONS, *_KNOWN])}."
            msg = f"labels names the region {region!r}, which is not known."
            raise CohortError(msg, case=case, field="labels", hint=hint)
        if not number.isascii() or not number.isdigit() or int(number) < 1 or int(number) in out.values():
            msg = f"labels gives {region} the number {number!r}, expected a whole number from 1, used once."
            raise CohortError(msg, case=case, field="labels")
        out[region] = int(number)
    if not out:
        msg = "labels is empty: what the mask's numbers mean is never guessed."
        hint = "Write 'acdc', 'mnms' or, for example, 'rv_cavity=1;lv_myocardium=2;lv_cavity=3'."
        raise CohortError(msg, case=case, field="labels", hint=hint)
    return out


def format_labels(labels: Mapping[str, int]) -> str:
    """Return label numbers as a manifest cell; :func:`parse_labels` undoes it."""
    for name, known in CONVENTIONS.items():
        if dict(labels) == dict(known):
            return name
    return ";".join(f"{region}={number}" for region, number in sorted(labels.items(), key=lambda item: item[1]))


def convention_sentence(conventions: Iterable[Mapping[str, int]], source: str) -> str:
    """Return the label numbers of a cohort as a sentence for people.

    Parameters
    ----------
    conventions : iterable of mapping of str to int
        One per case.
    source : str
        Who states them, for example ``the manifest``.

    Returns
    -------
    str
        For example ``1 RV cavity, 2 LV myocardium, 3 LV cavity (ACDC order, stated by the manifest).``
    """
    counts = Counter(format_labels(labels) for labels in conventions)
    parts = []
    for text, n in counts.items():
        labels = parse_labels(text, case="")
        words = ", ".join(f"{v} {REGION_NAMES[r]}" for r, v in sorted(labels.items(), key=lambda item: item[1]))
        order = f"{_TITLES[text]} order, " if text in _TITLES else ""
        many = f" in {n} cases" if len(counts) > 1 else ""
        parts.append(f"{words}{many} ({order}stated by {source})")
    return f"{'; '.join(parts)}." if parts else ""
