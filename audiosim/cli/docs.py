"""Man pages and completion scripts, made from the application itself.

`python -m audiosim.cli.docs` in a checkout writes man/ and completions/; with `--check` it only says what differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from ..config import Settings
from ..errors import ExitCode
from .app import command

ROOT = Path(__file__).parents[2]
VARIABLE = "_AUDIOSIM_COMPLETE"

CONFIGURATION = """\
A flag counts more than an environment variable, that more than the project's file, that more than the user's file.
The project's file is audiosim.toml, or the table [tool.audiosim] of pyproject.toml, in the working directory or the
nearest one above it that has either. The user's file is $XDG_CONFIG_HOME/audiosim/config.toml, or
~/.config/audiosim/config.toml. An unknown key is an error. The keys are the long names of the flags:"""

ENVIRONMENT = {
    "AUDIOSIM_KEY": "Any key of the configuration in capitals, such as AUDIOSIM_FORMAT; lists are separated by spaces.",
    "NO_COLOR": "When set and not empty, no colours.",
    "NUMBA_CACHE_DIR": "Where compiled kernels are kept, instead of beside the package or in the user's cache.",
    "OPENBLAS_NUM_THREADS": "Set to 1 when unset, which saves start-up time.",
}

# compinit reads this file as a function, which then must call itself; sourced, it registers itself.
ZSH_TAIL = """\
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _audiosim_completion "$@"
else
  compdef _audiosim_completion audiosim
fi
"""


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with --check compare them; 1 when something differs."""
    if not (ROOT / "pyproject.toml").is_file():
        print("audiosim.cli.docs: works in a checkout of the project only", file=sys.stderr)
        return ExitCode.USAGE
    made = pages()
    stale = [name for name, text in made.items() if _read(ROOT / name) != text]
    stale += [
        str(path.relative_to(ROOT))
        for folder in ("man", "completions")
        for path in sorted((ROOT / folder).glob("*"))
        if str(path.relative_to(ROOT)) not in made
    ]
    if "--check" in arguments:
        for name in stale:
            print(f"{name} is not what the application generates: run python -m audiosim.cli.docs", file=sys.stderr)
        return int(bool(stale))
    for name, text in made.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        if name not in made:
            (ROOT / name).unlink()
    return 0


def pages() -> dict[str, str]:
    """{path in the repository: text} of every generated file."""
    tree = command()
    root = typer.Context(tree, info_name="audiosim", **tree.context_settings)
    made = {"man/audiosim.1": _main_page(tree, root)}
    for name, sub in tree.commands.items():
        made[f"man/audiosim-{name}.1"] = _command_page(name, sub, typer.Context(sub, info_name=name, parent=root), tree)
    for shell, file in {"bash": "audiosim.bash", "fish": "audiosim.fish", "powershell": "audiosim.ps1"}.items():
        made[f"completions/{file}"] = _script(shell) + "\n"
    registered = "\ncompdef _audiosim_completion audiosim"
    script = _script("zsh")
    assert script.startswith("#compdef")
    assert script.endswith(registered)
    made["completions/_audiosim"] = script.removesuffix(registered) + "\n" + ZSH_TAIL
    return made


def _script(shell: str) -> str:
    # Re-exported there since Typer 0.9, though without saying so.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    return get_completion_script(prog_name="audiosim", complete_var=VARIABLE, shell=shell).strip()


def _main_page(tree: Any, context: Any) -> str:
    lines = _heading("audiosim", tree.help or "")
    lines += [".SH SYNOPSIS", ".B audiosim", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"]
    lines += [".SH DESCRIPTION", *_paragraphs(tree.help or "")]
    lines += [".SH COMMANDS"]
    for name, sub in tree.commands.items():
        lines += _item(f"audiosim-{name}(1)", sub.short_help or "")
    lines += [".SH OPTIONS", *_parameters(tree, context, "option")]
    lines += [".SH CONFIGURATION", *_paragraphs(CONFIGURATION)]
    for field in fields(Settings):
        lines += _item(field.name, _default(field.default))
    lines += [".SH ENVIRONMENT"]
    for name, text in ENVIRONMENT.items():
        lines += _item(name, text)
    lines += _exit_status()
    lines += _see_also([f"audiosim-{name}" for name in tree.commands])
    return "\n".join(lines) + "\n"


def _command_page(name: str, sub: Any, context: Any, tree: Any) -> str:
    text, examples = _split(sub.help or "")
    lines = _heading(f"audiosim-{name}", sub.short_help or "")
    usage = " ".join(sub.collect_usage_pieces(context))
    lines += [".SH SYNOPSIS", f".B audiosim {name}", _roff(usage)]
    lines += [".SH DESCRIPTION", *_paragraphs(text)]
    arguments = list(_parameters(sub, context, "argument"))
    lines += [".SH ARGUMENTS", *arguments] if arguments else []
    lines += [".SH OPTIONS", *_parameters(sub, context, "option")]
    lines += [".SH EXAMPLES", ".nf", *map(_roff, examples), ".fi"] if examples else []
    if sub.epilog:
        lines += [".SH NOTES", *_paragraphs(sub.epilog)]
    lines += _exit_status()
    lines += _see_also(["audiosim", *(f"audiosim-{n}" for n in tree.commands if n != name)])
    return "\n".join(lines) + "\n"


def _heading(name: str, title: str) -> list[str]:
    return [
        '.\\" Generated by python -m audiosim.cli.docs; do not edit.',
        f'.TH {_roff(name.upper())} 1 "" "audiosim" "User Commands"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(title[:1].lower() + title[1:].rstrip('.'))}",
    ]


def _parameters(sub: Any, context: Any, kind: str) -> Iterator[str]:
    for param in sub.get_params(context):
        record = param.get_help_record(context)
        if record and param.param_type_name == kind:
            yield from _item(*record)


def _item(term: str, text: str) -> list[str]:
    return [".TP", f"\\fB{_roff(term)}\\fR", _roff(" ".join(text.split()))]


def _exit_status() -> list[str]:
    lines = [".SH EXIT STATUS", "When several apply, the first of 70, 2, 3, 1, 4, 5 counts."]
    for code in ExitCode:
        lines += _item(str(int(code)), code.meaning + ".")
    return lines


def _see_also(names: Sequence[str]) -> list[str]:
    return [".SH SEE ALSO", *(f".BR {_roff(n)} (1){',' if n != names[-1] else ''}" for n in names)]


def _split(text: str) -> tuple[str, list[str]]:
    """The help without its preformatted paragraphs (those that begin with \\b), and the lines of these."""
    kept, lines = [], []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            lines += [line.strip() for line in paragraph.lstrip("\b\n").splitlines()]
        else:
            kept.append(paragraph)
    return "\n\n".join(kept), lines


def _paragraphs(text: str) -> list[str]:
    lines = []
    for i, paragraph in enumerate(text.split("\n\n")):
        lines += [".PP"] * (i > 0) + [_roff(" ".join(paragraph.split()))]
    return lines


def _default(value: Any) -> str:
    if value in (None, ()):
        return "No default."
    return f"Default: {str(value).lower() if isinstance(value, bool) else value}."


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
