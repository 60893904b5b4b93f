"""Evidence that was made beside an evaluation, and attached to its report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radiocard.report.schema_base import Part


class TextTable(Part):
    """A small table, as it is shown."""

    head: list[str] = Field(min_length=1)
    """Column headings."""
    rows: list[list[str]] = Field(min_length=1)
    """Cells as text."""


class Further(Part):
    """The result of another command, in the section that it belongs to."""

    key: Literal["stability", "phenotypes", "ranking", "increment", "odds", "audit", "drift"]
    """What was asked."""
    section: Literal["features", "performance", "trust", "reasons"]
    """Section of the page."""
    title: str
    """Heading."""
    sentences: list[str] = Field(min_length=1)
    """The result in words."""
    table: TextTable | None = None
    """Its figures."""
