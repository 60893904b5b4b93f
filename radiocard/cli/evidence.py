"""Commands on evidence: increment, stability."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import CohortArgument, JobsOption, JsonOption, SpecOption, say_layout
from radiocard.cli.console import (
    OK,
    PARTIAL,
    compile_first,
    note,
    progress,
    require_suffix,
    say,
    say_issues,
    say_json,
)


def increment(
    cohort: CohortArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    task: Annotated[
        str, typer.Option(help="The question: cine, t1-amyloid, ... (a shipped name or a YAML file).")
    ] = "cine",
    spec: Annotated[
        str | None, typer.Option(help="Feature specification with the texture in question; else that of the task.")
    ] = None,
    target: Annotated[str, typer.Option(help="Column that holds the diagnosis.")] = "diagnosis",
    models: Annotated[str, typer.Option(help="Recipes, separated by commas; the same at every step.")] = "logistic",
    plan: Annotated[str, typer.Option(help="Folds, repeats, seed: a shipped name or a YAML file.")] = "evaluation",
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Describe shuffled and noise-filled regions as well.")
    ] = True,
    test_base: Annotated[str, typer.Option(help="Columns named beforehand for a likelihood-ratio test.")] = "",
    test_added: Annotated[str, typer.Option(help="Columns that it adds to them, named beforehand.")] = "",
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Find out whether texture adds anything to what is measured anyway.

    \b
    radiocard increment ACDC/training -o texture
    radiocard increment manifest.csv -o texture --task t1-amyloid --no-controls
    radiocard increment ACDC/training -o texture --test-base lvef_pct --test-added mwt_max_mm

    Rule, best single index, the task's measurements, the same with texture: each in the same nested
    folds. Controls are the same texture from shuffled voxels and from noise.
    """
    from radiocard.io.store import output_lock
    from radiocard.study import increment as study
    from radiocard.study.extract import as_cohort
    from radiocard.study.increment_result import write_increment

    recipes, base, added = (
        [name.strip() for name in names.split(",") if name.strip()] for names in (models, test_base, test_added)
    )
    found = as_cohort(cohort)
    say_layout(found)
    compile_first()
    with output_lock(output / "increment.json"):
        result = study.increment(
            found,
            task=task,
            spec=spec,
            target=target,
            models=recipes,
            plan=plan,
            controls=controls,
            test_base=base,
            test_added=added,
            jobs=jobs,
            progress=progress,
        )
        paths = write_increment(result, output)
    if as_json:
        say_json(result.to_dict() | {"files": [str(path) for path in paths]})
        return
    say(result.sentence)
    for row in result.rows[1:]:
        say(f"  {row[0]}: log-loss {row[2]}, macro AUC {row[4]}, balanced accuracy {row[5]}")
    say(result.test_sentence)
    say(f"In full: {paths[0]}")


def stability(
    cohort: CohortArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv.")],
    spec: SpecOption = "cine_sax",
    beside: Annotated[
        Path | None, typer.Option(help="The same patients one frame away, with masks: another cohort.")
    ] = None,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Find out which measurements hold when contours, base, noise and grid change a little.

    \b
    radiocard stability ACDC/training -o stability.csv
    radiocard stability manifest.csv -o stability.csv --spec t1_map --jobs 4
    """
    from radiocard.io.store import output_lock, write_issues
    from radiocard.study import stability as study
    from radiocard.study.extract import as_cohort

    require_suffix(output, ".csv")
    found = as_cohort(cohort)
    say_layout(found)
    compile_first()
    with output_lock(output):
        with progress("Perturbing", len(found.cases)) as step:
            result = study.stability(found, spec=spec, beside=beside, jobs=jobs, progress=step)
        study.write_stability(result, output)
        write_issues(result.issues, output.with_name(f"{output.stem}.issues.jsonl"))
    refused = [issue for issue in result.issues if issue.severity == "refuse"]
    if as_json:
        say_json(result.to_dict() | {"table": str(output)})
    else:
        say(result.sentence)
        say(f"  {'family':<32}{'columns':>8}{'ICC>=0.75':>11}{'ICC>=0.9':>10}")
        for share in result.shares:
            say(f"  {share.family:<32}{share.n:>8}{share.good:>11.0%}{share.excellent:>10.0%}")
        for text in result.notes:
            note(text)
        say_issues(refused)
        say(f"Every measurement: {output}")
    raise typer.Exit(PARTIAL if refused else OK)
