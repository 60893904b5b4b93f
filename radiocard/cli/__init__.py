"""The command line: one thin command per verb."""

from __future__ import annotations

import sys
import traceback

import typer

from radiocard.cli import cohorts, describe, engine, evidence, models, reports
from radiocard.cli.compare import compare
from radiocard.cli.console import BUG, INTERRUPTED, exit_code, heed_interrupts, issue_lines, note
from radiocard.cli.leakage import check_leakage, lock
from radiocard.cli.maps import maps
from radiocard.cli.monitor import monitor
from radiocard.cli.segment import segment
from radiocard.cli.transfer import transfer
from radiocard.errors import NothingUsableError

EPILOG = (
    "Exit codes: 0 all well, 1 a bug, 2 usage or configuration, 3 some cases failed or something must be fixed, "
    "4 nothing usable or unsafe input, 5 disk, memory or permission, 130 interrupted."
)

app = typer.Typer(
    name="radiocard",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""From a segmented cardiac MRI study to an explained diagnosis.

    \b
    radiocard demo                                        try it, offline
    radiocard validate COHORT                             what is wrong with my data?
    radiocard extract COHORT -o table.parquet             measure and describe
    radiocard train table.parquet -o heart.model          learn
    radiocard evaluate heart.model table.parquet -o out   how good is it, honestly?
    radiocard report heart.model COHORT --patient ID -o report.html
    radiocard map fit|ecv|align|measure                   T1, T2, T2*, ECV maps one by one
    radiocard segment train|predict|evaluate|export       masks from a network (extras cnn, onnx)

    COHORT is a folder in ACDC or M&Ms layout, or a manifest CSV.

    Research software, not a medical device: a person decides.""",
    epilog=EPILOG,
)
for command in (
    reports.demo,
    cohorts.validate,
    cohorts.extract,
    check_leakage,
    lock,
    models.train,
    models.evaluate,
    models.predict,
    monitor,
    compare,
    transfer,
    evidence.increment,
    evidence.stability,
    describe.audit,
    describe.odds,
    describe.phenotypes,
    describe.rank,
    describe.attach,
    reports.explain,
    reports.report,
    engine.features,
    engine.ibsi_check,
    engine.warm,
    cohorts.info,
):
    app.command()(command)
app.add_typer(maps)
app.add_typer(segment)


def main() -> None:
    """Run the command line; errors become one clear message and an exit code."""
    heed_interrupts()
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        note("Interrupted.")
        sys.exit(INTERRUPTED)
    except Exception as error:
        code = exit_code(error)
        if code == BUG:
            traceback.print_exc()
            note("This is a bug in radiocard. Please report it with the lines above.")
        else:
            if isinstance(error, NothingUsableError):
                for line in issue_lines(error.issues):
                    note(line)
            note(f"error  {error}" if str(error) else f"error  {type(error).__name__}")
        sys.exit(code)
