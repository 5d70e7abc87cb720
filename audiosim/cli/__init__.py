"""The command line. `main` is the script; `run` is the same without leaving the process."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from ..errors import AudiosimError, ExitCode, Mismatch

LONGEST = 200  # characters of a command that is told in a message
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT)  # only writing to stdout meets these unhandled


def main() -> NoReturn:
    """Run the command line of the process and leave it with the exit code."""
    from ..engine import start

    start.whole_process = True
    code = run(sys.argv[1:])
    # The interpreter's own tear-down costs 0.1 s with numba loaded, and nothing here waits for it.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """The exit code (see errors.ExitCode) of `audiosim argv`; a problem is one line on stderr, never a traceback."""
    # Must be set before numpy is loaded: starting OpenBLAS threads that nobody uses costs 0.2 s.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII locale is no reason to fail
    try:
        code = int(_dispatch(list(argv)))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _closed_pipe()
    except AudiosimError as problem:
        code = _report(f"{problem}{_mended(problem, argv)}", problem.exit_code)
        _tell_next(problem)
        return code
    except MemoryError:
        return _report("out of memory: compare shorter pieces", ExitCode.INPUT)
    except Exception as bug:  # noqa: BLE001  a bug ends with 70, not with a traceback and 1
        return _internal(bug, argv)
    return code


def _dispatch(argv: list[str]) -> int:
    import typer

    from .app import command

    root = command()
    if os.environ.get("_AUDIOSIM_COMPLETE"):
        root.main(argv, prog_name="audiosim")  # replies to the shell and exits
    try:
        # Not root.main(): it would turn a closed pipe into exit code 1.
        with root.make_context("audiosim", argv) as context:
            return root.invoke(context) or ExitCode.OK
    except typer.Exit as left:
        return left.exit_code
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.TyperException as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":  # its message is the help page
            print(problem.format_message(), file=sys.stderr)
            return ExitCode.USAGE
        place = getattr(problem, "ctx", None)
        page = f"audiosim {place.info_name} --help" if place is not None and place.parent else "audiosim --help"
        return _report(f"{problem.format_message().rstrip('.')} (see `{page}`)", ExitCode.USAGE)


def _report(message: str, code: ExitCode) -> ExitCode:
    """One line on stderr, whatever is in the message and wherever stderr goes."""
    with suppress(OSError):  # where nobody reads it, the exit code still says it
        sys.stdout.flush()
    with suppress(OSError):
        print("audiosim: error:", " ".join(message.split()), file=sys.stderr, flush=True)
    return code


def _mended(problem: AudiosimError, argv: Sequence[str]) -> str:
    """The command that was given, with the flags that mend it, where it is short and can be given again."""
    import shlex

    if not isinstance(problem, Mismatch) or len(problem.flags) < 2 or {"-", "--"} & set(argv):
        return ""
    command = f"audiosim {shlex.join(argv)} {Mismatch.mended(problem.flags)}"
    return f": {command}" if len(command) <= LONGEST and command.isprintable() else ""


def _tell_next(problem: AudiosimError) -> None:
    """The next useful command, which a note of the problem is."""
    for note in getattr(problem, "__notes__", ()):
        from ..config import Settings
        from .next import say

        with suppress(OSError):
            say(note, Settings())


def _internal(bug: Exception, argv: Sequence[str]) -> ExitCode:
    if isinstance(bug, OSError) and bug.errno in _FULL:
        return _report(f"cannot write the output: {bug.strerror}", ExitCode.USAGE)
    if any(a in ("-v", "--verbose") for a in argv) or os.environ.get("AUDIOSIM_VERBOSE"):
        import traceback

        traceback.print_exception(bug)
        hint = "please report it"
    else:
        hint = "please report it; -v shows the traceback"
    return _report(f"internal error: {type(bug).__name__}: {bug} ({hint})", ExitCode.INTERNAL)


def _closed_pipe() -> ExitCode:
    # Whatever is still buffered goes nowhere, so that no later flush can fail once more.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE
