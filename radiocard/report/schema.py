"""The published JSON of the reports: :class:`PatientReport` and :class:`CohortReport`.

The page shows nothing that is not in these objects. A part that is null or empty is absent
from the page: no heading, no placeholder.
"""

from __future__ import annotations

from typing import Any, Literal

from radiocard.report.schema_cohort import CohortReport
from radiocard.report.schema_patient import PatientReport

__all__ = ["CohortReport", "PatientReport", "json_schema", "to_json"]


def json_schema(kind: Literal["patient", "cohort"]) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a report.

    Parameters
    ----------
    kind : {'patient', 'cohort'}
        Which report.

    Returns
    -------
    dict
        The schema; ``properties.schema.const`` is its identity.

    Examples
    --------
    >>> json_schema("patient")["properties"]["schema"]["const"]
    'radiocard/patient-report/1'
    """
    model = PatientReport if kind == "patient" else CohortReport
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema(mode="serialization")


def to_json(report: PatientReport | CohortReport) -> str:
    """Return the JSON twin of a report page; ``PatientReport.model_validate_json`` reads it back."""
    return report.model_dump_json(indent=1) + "\n"
