"""What to run while working on audiosim: nox -s quick, nox -s metric -- lsd, nox -s all. All in this environment."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["quick"]

ONE_A_FAMILY = ("lsd", "mfcc", "auditory")
UNCOMPILED = {"NUMBA_DISABLE_JIT": "1"}


def lint(session: nox.Session) -> None:
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


def pytest(session: nox.Session, *arguments: str, **options: object) -> None:
    session.run("python", "-m", "pytest", "--quiet", *arguments, **options)


@nox.session
def quick(session: nox.Session) -> None:
    """Lint, types, layers, the contract of one metric a family: under a minute once kernels are compiled."""
    lint(session)
    pytest(session, "tests/test_layers.py", "tests/metrics/test_specs.py")
    pytest(session, "tests/metrics/test_contract.py", "-k", " or ".join(ONE_A_FAMILY))


@nox.session
def metric(session: nox.Session) -> None:
    """All tests that concern one metric, compiled and not: nox -s metric -- NAME."""
    if len(session.posargs) != 1:
        session.error("name one metric: nox -s metric -- lsd")
    name = session.posargs[0].replace("_", "-")
    tests = ["tests/metrics", "tests/test_loss.py", "-k", f"{name} or test_{name.replace('-', '_')}"]
    pytest(session, *tests)
    pytest(session, *tests, env=UNCOMPILED)


@nox.session(name="all")
def everything(session: nox.Session) -> None:
    """The whole suite, compiled and not, and the generated pages."""
    lint(session)
    session.run("python", "-m", "audiosim.cli.docs", "--check")
    parallel = ("--numprocesses", "auto", "--dist", "worksteal")
    pytest(session, *parallel)
    pytest(session, *parallel, env=UNCOMPILED)
