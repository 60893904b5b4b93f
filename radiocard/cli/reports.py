"""Commands that explain: explain, report, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import CohortArgument, JobsOption, JsonOption
from radiocard.cli.console import compile_first, note, progress, require_suffix, say, say_json
from radiocard.cli.models import ForceOption, ModelArgument

PatientOption = Annotated[str, typer.Option("--patient", help="Identifier of the patient.")]


def explain(
    model: ModelArgument,
    cohort: CohortArgument,
    patient: PatientOption,
    allow_simulated_model: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what speaks for one answer, and what against.

    \b
    radiocard explain heart.model ACDC/training --patient patient001
    """
    from radiocard.models.persist import load_model
    from radiocard.study.patient import explain_patient as study

    answer = study(load_model(model), cohort, patient, allow_simulated_model=allow_simulated_model)
    if as_json:
        say_json(answer.model_dump(mode="json", by_alias=True))
        return
    say(answer.sentence)
    if answer.out_of_fold_note:
        say(answer.out_of_fold_note)
    for heading, reasons in (("For", answer.reasons_for), ("Against", answer.reasons_against)):
        for reason in reasons:
            say(f"  {heading:<8} {reason.text}")
    say(f"Input checks: {answer.light.level}")
    for cause in answer.light.causes:
        say(f"  {cause}")
    say(answer.not_known or "")
    say("Research use only; a person decides.")


def report(
    model: ModelArgument,
    cohort: CohortArgument,
    patient: PatientOption,
    output: Annotated[Path, typer.Option("-o", "--output", help="report.html, .pdf or .json.")],
    allow_simulated_model: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the report of one patient.

    \b
    radiocard report heart.model ACDC/training --patient patient001 -o report.html
    radiocard report heart.model ACDC/training --patient patient001 -o report.pdf

    The JSON twin is written beside it. For a patient of the training cohort the report
    shows the out-of-fold prediction, and says so.
    """
    from radiocard.models.persist import load_model
    from radiocard.study import patient as study

    require_suffix(output, ".html", ".pdf", ".json")
    told = f"radiocard report MODEL COHORT --patient {patient} -o report{output.suffix}"
    force = {"allow_simulated_model": allow_simulated_model}
    compile_first()
    result = study.report_patient(load_model(model), cohort, patient, command=told, **force)
    paths = study.write_report(result, output)
    if as_json:
        say_json({"files": [str(path) for path in paths]})
        return
    if result.answer is not None:
        say(result.answer.sentence)
        if result.answer.out_of_fold_note:
            say(result.answer.out_of_fold_note)
        say(f"Input checks: {result.answer.light.level}. {' '.join(result.answer.light.causes)}")
    for path in paths:
        say(f"Written: {path}")


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path("radiocard-demo"),
    task: Annotated[
        str, typer.Option(help="cine, t1-amyloid, ecv-amyloid, t1-dcm, t1-hhd-hcm, t2-myocarditis or lge-scar.")
    ] = "cine",
    seed: Annotated[int, typer.Option(min=0, help="Another seed simulates other patients.")] = 1,
    segment: Annotated[
        bool, typer.Option("--segment", help="Let a small network draw the masks (extra onnx or cnn).")
    ] = False,
    jobs: JobsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Try it all on simulated patients, offline.

    \b
    radiocard demo
    radiocard demo -o somewhere --seed 7
    radiocard demo --task t1-amyloid
    radiocard demo --segment                 from images, without masks
    """
    from radiocard.segmentation.backend import demo_network, open_ensemble
    from radiocard.study.demo import demo as study

    if segment:
        open_ensemble(demo_network())  # says what is missing before any work
    compile_first()
    result = study(output, task=task, seed=seed, segment=segment, jobs=jobs, say=note, progress=progress)
    if as_json:
        say_json(result.to_dict())
        return
    say()
    for line in result.lines:
        say(line)
    say()
    say("Open in a browser:")
    for path in [result.cohort_report, *result.patient_reports.values()]:
        say(f"  {path}")
