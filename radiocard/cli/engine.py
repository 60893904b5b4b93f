"""Commands on the feature engine: features, ibsi-check, warm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import OK, PARTIAL, SYSTEM, note, progress, say, say_json

MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")]
FamilyOption = Annotated[str | None, typer.Option(help="Only this family, for example glcm.", show_default=False)]
PhantomArgument = Annotated[Path, typer.Argument(help="Folder with the phantoms of the IBSI.", show_default=False)]
TableOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Compliance table to write: .md.", show_default=False)
]
RowsOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the values as JSON to a file, or to - for the screen."),
]


def features(family: FamilyOption = None, markdown: MarkdownOption = False, as_json: JsonOption = False) -> None:
    """List every feature: tag, IBSI code, unit, meaning.

    \b
    radiocard features --family glcm
    radiocard features --json > features.json
    """
    from radiocard.errors import UsageError
    from radiocard.features.dictionary import dictionary, dictionary_page

    if markdown and as_json:
        msg = "--markdown and --json are two forms of one list, expected one of them."
        raise UsageError(msg)
    entries = dictionary(family)
    if markdown:
        say(dictionary_page().rstrip("\n"))
        return
    if as_json:
        say_json(entries)
        return
    for name in dict.fromkeys(entry["family"] for entry in entries):
        members = [entry for entry in entries if entry["family"] == name]
        say(f"{name} ({len(members)})")
        for entry in members:
            unit = f" [{entry['unit']}]" if entry["unit"] else ""
            say(f"  {entry['tag']:<26}{entry['ibsi_code'] or '':<6}{entry['name']}{unit}: {entry['meaning']}")


def ibsi_check(path: PhantomArgument, output: TableOption = None, rows: RowsOption = None) -> None:
    """Compare every value with the references of the IBSI.

    \b
    radiocard ibsi-check ibsi1 -o ibsi_compliance.md
    radiocard ibsi-check ibsi1 --json values.json

    The folder holds digital_phantom/ and ct_phantom/, each with image.nii.gz and mask.nii.gz,
    and reference_values/ with the published sheets as CSV. The table is fit for the supplement
    of a paper. Exit code 3 unless all configurations were run and compared, and every consensus
    value is met.
    """
    from radiocard.cli.console import require_suffix
    from radiocard.io.store import write_json, write_text
    from radiocard.study.ibsi import check
    from radiocard.study.ibsi_table import compliance_table, summary_lines

    if output is not None:
        require_suffix(output, ".md")
    with progress("Configurations", 6) as step:
        result = check(path, progress=step)
    if output is not None:
        write_text(compliance_table(result), output)
    if rows == "-":
        say_json(result.rows())
    else:
        if rows is not None:
            write_json(result.rows(), rows)
        for line in summary_lines(result):
            say(line)
        for written in (output, rows):
            if written is not None:
                say(f"Written: {written}")
    if not result.compared:
        note("Nothing to compare with: no reference values.")
    raise typer.Exit(OK if result.complies else PARTIAL)


def warm(as_json: JsonOption = False) -> None:
    """Compile the feature engine before its first use.

    \b
    radiocard warm
    NUMBA_CACHE_DIR=/var/cache/radiocard radiocard warm
    """
    from radiocard.study.warm import warm as study

    note("Compiling; this takes some seconds.")
    result = study()
    if as_json:
        folders = [str(folder) for folder in result.folders]
        say_json({"seconds": result.seconds, "kernels": result.kernels, "lost": result.lost, "folders": folders})
    else:
        say(f"{len(result.kernels)} kernels ready after {result.seconds:.1f} s.")
        for folder in result.folders:
            say(f"Kept in: {folder}")
    if result.lost:
        note(f"{len(result.lost)} of {len(result.kernels)} kernels cannot be kept: no folder for them can be written.")
        note("Each process will compile them anew. Set NUMBA_CACHE_DIR to a folder that can be written, and run again.")
        raise typer.Exit(SYSTEM)
