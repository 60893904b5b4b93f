"""Findings between cases: the same image under two identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiocard.errors import CohortError, Issue


def image_groups(digests: Mapping[str, str]) -> dict[str, str]:
    """Return a group label per patient; patients who share an image share the label.

    Parameters
    ----------
    digests : mapping of str to str
        Patient identifier to the digest of the images; several digests are joined by ``-``,
        and one in common is enough.

    Returns
    -------
    dict of str to str
        Patient identifier to group: the smallest identifier of the group, so that the order
        of the patients does not matter.

    Examples
    --------
    >>> image_groups({"a": "11-12", "b": "21-22", "c": "31-12"})
    {'a': 'a', 'b': 'b', 'c': 'a'}
    """
    group = {patient: patient for patient in digests}

    def root(patient: str) -> str:
        while group[patient] != patient:
            patient = group[patient]
        return patient

    owner: dict[str, str] = {}
    for patient, joined in digests.items():
        for digest in filter(None, joined.split("-")):
            first, second = sorted((root(owner.setdefault(digest, patient)), root(patient)))
            group[second] = first
    return {patient: root(patient) for patient in digests}


def identical_images(digests: Mapping[str, str], *, labels: Mapping[str, Any] | None = None) -> list[Issue]:
    """Return a warning for each patient whose image also stands under another identifier.

    Parameters
    ----------
    digests : mapping of str to str
        As :func:`image_groups`.
    labels : mapping of str to object, optional
        Class of each patient; missing ones (None, NaN) contradict nothing.

    Returns
    -------
    list of Issue
        ``W_IDENTICAL_IMAGES``, in the order of ``digests``.

    Raises
    ------
    CohortError
        If identical images carry different labels: one of them is wrong.
    """
    members: dict[str, list[str]] = {}
    groups = image_groups(digests)
    for patient in digests:
        members.setdefault(groups[patient], []).append(patient)
    issues = []
    for patient in digests:
        others = [other for other in members[groups[patient]] if other != patient]
        if not others:
            continue
        _refuse_contradiction(patient, others, labels or {})
        message = f"The image is identical to that of {', '.join(others[:5])}."
        hint = "Identical images stay together in every fold; check whether this is one patient."
        issues.append(Issue("W_IDENTICAL_IMAGES", message, patient, hint=hint))
    return issues


def _refuse_contradiction(patient: str, others: list[str], labels: Mapping[str, Any]) -> None:
    mine = labels.get(patient)
    for other in others:
        theirs = labels.get(other)
        if _stated(mine) and _stated(theirs) and mine != theirs:
            msg = f"The images of {patient} and {other} are identical, but their labels are {mine!r} and {theirs!r}."
            raise CohortError(msg, case=patient, hint="Correct the label, or leave one of them out.")


def _stated(label: Any) -> bool:
    return label is not None and bool(label == label)  # NaN differs from itself
