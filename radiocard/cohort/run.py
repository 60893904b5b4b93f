"""Many cases to one table, in parallel; a bad case or a killed worker loses only itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version

import pandas as pd

from radiocard.checks.cohort import identical_images
from radiocard.cohort.row import PROVENANCE, CaseResult, case_row
from radiocard.cohort.table import describe, order_columns
from radiocard.errors import CohortError, Issue, NothingUsableError, UsageError
from radiocard.features.pyradiomics_engine import refuse_unsupported
from radiocard.io.cohort import CaseRef, Cohort
from radiocard.specs import FeatureSpec

Progress = Callable[[CaseResult], None]


def run_cohort(
    cohort: Cohort, spec: FeatureSpec, *, jobs: int = 1, texture: bool = True, progress: Progress | None = None
) -> tuple[pd.DataFrame, list[Issue]]:
    """Turn a cohort into a table with one row per usable patient, in the cohort's order.

    Parameters
    ----------
    cohort : Cohort
        The cases.
    spec : FeatureSpec
        What to compute.
    jobs : int
        Number of worker processes, from 1; the result does not depend on it.
    texture : bool
        Whether to describe texture.
    progress : callable or None
        Called with each :class:`CaseResult` as it arrives.

    Returns
    -------
    table : DataFrame, index ``patient_id``
        ``table.attrs["radiocard"]`` holds the specification and its hash.
    issues : list of Issue
        Findings of the cohort and of every case.

    Raises
    ------
    CohortError
        If a clinical column has the name of one that is computed (``E_COHORT``), or no case
        was usable (``E_NOTHING_USABLE``).
    SpecError, MissingExtraError
        If the engine cannot honour the specification, before any case is read.
    UsageError
        If ``jobs`` is less than 1.
    """
    if jobs < 1:
        msg = f"jobs is {jobs}, expected at least 1."
        raise UsageError(msg, field="jobs")
    _refuse_taken_names(cohort.cases)
    if texture and spec.engine == "pyradiomics":
        refuse_unsupported(spec)
    results: dict[str, CaseResult] = {}
    for result in _results(cohort.cases, spec, jobs=jobs, texture=texture):
        results[result.patient_id] = result
        if progress is not None:
            progress(result)
    ordered = [results[ref.patient_id] for ref in cohort.cases]
    issues = [*cohort.issues, *(issue for result in ordered for issue in result.issues)]
    rows = {result.patient_id: result.values for result in ordered if result.values is not None}
    if not rows:
        reasons = "; ".join(sorted({issue.code for issue in issues if issue.severity == "refuse"}))
        msg = f"None of {len(ordered)} cases was usable ({reasons or 'the cohort is empty'})."
        raise NothingUsableError(msg, issues)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "patient_id"
    twins = identical_images(dict(table["image_sha256"]), labels=dict(table["diagnosis"]))
    alike = {str(issue.case): issue.code for issue in twins}
    table["flags"] = [f"{flags} {alike.get(str(i), '')}".strip() for i, flags in table["flags"].items()]
    issues += twins
    table = order_columns(table)
    table.attrs["radiocard"] = {
        "spec_name": spec.name,
        "spec_hash": spec.hash,
        "spec": spec.settings(),
        "layout": cohort.layout,
        "label_convention": cohort.label_convention,
        "version": version("radiocard"),
    }
    return table, issues


def _refuse_taken_names(cases: Sequence[CaseRef]) -> None:
    names = sorted({name for ref in cases for name in ref.clinical})
    taken = [name for name in names if name in PROVENANCE or describe(name) is not None]
    if taken:
        msg = f"The cohort has clinical columns named as ones that radiocard computes itself: {', '.join(taken)}."
        raise CohortError(msg, field=taken[0], hint=f"Rename them, for example to {'clinical_' + taken[0]!r}.")


def _results(cases: Sequence[CaseRef], spec: FeatureSpec, *, jobs: int, texture: bool) -> Iterator[CaseResult]:
    if jobs == 1 or len(cases) < 2:
        for ref in cases:
            yield case_row(ref, spec, texture=texture)
        return
    left = {ref.patient_id: ref for ref in cases}
    for _ in range(2):  # a killed worker takes the cases of its whole pool with it
        for result in _pooled(list(left.values()), spec, jobs=jobs, texture=texture):
            del left[result.patient_id]
            yield result
    for ref in left.values():
        yield next(_pooled([ref], spec, jobs=1, texture=texture), _crashed(ref))


def _pooled(cases: Sequence[CaseRef], spec: FeatureSpec, *, jobs: int, texture: bool) -> Iterator[CaseResult]:
    """Yield results as they come; end early, without error, when a worker was killed."""
    if not cases:
        return
    pool = ProcessPoolExecutor(min(jobs, len(cases)), mp_context=multiprocessing.get_context("spawn"))
    try:
        futures: list[Future[CaseResult]] = [pool.submit(case_row, ref, spec, texture=texture) for ref in cases]
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                continue
    finally:
        pool.shutdown(cancel_futures=True)


def _crashed(ref: CaseRef) -> CaseResult:
    message = "The process that worked on this case was ended from outside, even when it worked on this case alone."
    hint = "Check the memory of the machine and the size of the images."
    return CaseResult(ref.patient_id, None, (Issue("E_CRASHED", message, ref.patient_id, hint=hint),))
