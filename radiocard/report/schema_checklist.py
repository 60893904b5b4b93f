"""Reporting checklists and the table of image processing; part of the cohort report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from radiocard.report.schema_base import Count, Part

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ChecklistRow(Part):
    """One item of a checklist."""

    number: str
    """Number in the checklist."""
    topic: str
    """Topic in a few words, not the wording of the checklist."""
    status: Literal["answered", "open", "not applicable"]
    """``answered`` by this run; ``open`` where the author must write; ``not applicable`` with the reason."""
    condition: bool = False
    """Whether it only says which other items apply; then it is not counted."""
    answer: str | None = None
    """What the run says; for an open item, what of it the run knows."""
    write: str | None = None
    """What the author must write, for an open item."""


class ChecklistGroup(Part):
    """Items under one heading."""

    title: str
    """Heading."""
    rows: list[ChecklistRow] = Field(min_length=1)
    """Items in order."""


class Checklist(Part):
    """One checklist, filled in as far as the run knows; no score."""

    key: Key
    """Short name."""
    title: str
    """For example 'CLEAR'."""
    citation: str
    """Paper to read the items in."""
    doi: str
    """Its DOI."""
    note: str | None = None
    """What a reader must know."""
    n_items: Count
    """Items counted, conditions left out."""
    n_answered: Count
    """Of them answered by this run."""
    n_open: Count
    """Of them open."""
    n_not_applicable: Count
    """Of them excluded by the design."""
    groups: list[ChecklistGroup] = Field(min_length=1)
    """Items in order."""


class SettingRow(Part):
    """One setting of the image processing."""

    topic: str
    """For example 'Discretisation'."""
    setting: str
    """In words, with units."""


class SettingGroup(Part):
    """Settings under one heading."""

    title: str
    """Heading."""
    rows: list[SettingRow] = Field(min_length=1)
    """Settings in order."""


class Reporting(Part):
    """Section 8: checklists and image processing."""

    note: str | None = None
    """How to read the section."""
    checklists: list[Checklist] = Field(default_factory=list)
    """One per guideline."""
    processing: list[SettingGroup] = Field(default_factory=list)
    """Image processing as the IBSI asks to report it."""
    processing_note: str | None = None
    """Source and limits of that table."""
