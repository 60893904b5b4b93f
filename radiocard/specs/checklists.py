"""Reporting checklists: their items, and which fact of a run answers each."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from radiocard.specs.base import Count, Distinct, Frozen

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[str, Field(pattern=r"^(C?\d+|\d+[a-g])$")]
Facts = Annotated[tuple[Text, ...], Distinct]


class ChecklistItem(Frozen):
    """One item: its number in the checklist, its topic in a few words, and what it takes to answer it.

    ``answered_by`` names the facts that answer it together; ``partly_by`` those that are shown but leave
    ``write`` to the author. A ``condition`` says whether other items apply and is not counted.
    """

    number: Number
    topic: Annotated[str, Field(min_length=1, max_length=80)]
    write: Text
    answered_by: Facts = ()
    partly_by: Facts = ()
    condition: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> ChecklistItem:
        if self.answered_by and self.partly_by:
            msg = f"answered_by: item {self.number} is both answered and partly answered by facts"
            raise ValueError(msg)
        return self


class ChecklistSection(Frozen):
    """Items under one heading."""

    title: Text
    items: Annotated[tuple[ChecklistItem, ...], Field(min_length=1)]


class ChecklistSpec(Frozen):
    """A published checklist; ``n_items`` is how many items its paper counts."""

    schema_: Literal["radiocard/checklist/1"] = Field(alias="schema")
    name: str
    title: str
    citation: str
    doi: str
    note: str | None = None
    n_items: Count
    sections: Annotated[tuple[ChecklistSection, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> ChecklistSpec:
        numbers = [item.number for section in self.sections for item in section.items]
        twice = sorted(number for number, n in Counter(numbers).items() if n > 1)
        if twice:
            msg = f"sections: item {', '.join(twice)} stands more than once"
            raise ValueError(msg)
        counted = {i.number.rstrip("abcdefg") for s in self.sections for i in s.items if not i.condition}
        if len(counted) != self.n_items:
            msg = f"n_items: the sections hold {len(counted)} items, expected {self.n_items}"
            raise ValueError(msg)
        return self
