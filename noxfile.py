"""The same steps for contributors as for continuous integration: ``nox -s lint types tests conformance bench``."""

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests"]


def _install(session: nox.Session, *groups: str) -> None:
    flags = [flag for group in groups for flag in ("--group", group)]
    session.run_install("uv", "sync", "--active", "--extra", "pdf", *flags, external=True)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Check style, complexity and layers."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, "lint")
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run all tests that need no compiler."""
    _install(session, "dev")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def conformance(session: nox.Session) -> None:
    """Check IBSI reference values and live parity with PyRadiomics."""
    _install(session, "dev", "parity")
    session.run("pytest", "tests/conformance", env={"RADIOCARD_REQUIRE": "all"})


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Run benchmarks, as ratios against a peer in one run."""
    _install(session, "parity")
    session.run("python", "benchmarks/one_patient.py", *session.posargs)
