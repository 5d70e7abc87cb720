"""Man pages and completion scripts, generated from the application, the cards of the metrics and the texts in docs/.

`python -m audiosim.cli.docs` in a checkout writes man/ and completions/; with `--check` it only says what differs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from .. import metrics
from ..config import Settings
from ..errors import ExitCode
from ..judge.reading import scales
from ..metric import Metric
from .app import command

ROOT = Path(__file__).parents[2]
VARIABLE = "_AUDIOSIM_COMPLETE"

CONFIGURATION = """\
A flag overrides an environment variable, which overrides the project's file, which overrides the user's file. The
project's file is audiosim.toml, or the table [tool.audiosim] of pyproject.toml, in the working directory or the nearest
directory above it that has either. The user's file is $XDG_CONFIG_HOME/audiosim/config.toml, or
~/.config/audiosim/config.toml. An unknown key is an error. The keys are the long names of the flags:"""

PRESET_TABLE = (
    'A table of sets of metrics for --preset, such as mine = ["auditory", "pesq"]. It stands in files only; those of '
    "the project and the user add up. A set that has a name of ours takes its place."
)

ENVIRONMENT = {
    "AUDIOSIM_KEY": "Any key of the configuration in capitals, such as AUDIOSIM_FORMAT; lists are separated by spaces.",
    "NO_COLOR": "If set and not empty, output has no colours.",
    "NUMBA_CACHE_DIR": "The cache of compiled kernels, instead of beside the package or in the user's cache.",
    "OPENBLAS_NUM_THREADS": "audiosim sets it to 1 if it is not set, which saves start-up time.",
}

TOPICS = ("metrics", "training")  # docs/NAME.md is the source of audiosim-NAME(7)
FAMILIES = {
    "conventional": "Conventional losses: waveform and spectrum",
    "cepstral": "Cepstral distances",
    "music": "Distances of music",
    "perceptual": "Models of hearing, quality and intelligibility",
    "trained": "Trained models",
}
WEIGHTED = "mse"  # a metric that has the options of weighting, and no others

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
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and str(path.relative_to(ROOT)) not in made
    ]
    if "--check" in arguments:
        for name in stale:
            print(f"{name} is not what the application generates: run python -m audiosim.cli.docs", file=sys.stderr)
        return int(bool(stale))
    for name, text in made.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        if name not in made:
            (ROOT / name).unlink()
    return 0


def pages() -> dict[str, str]:
    """{path in the repository: text} of every generated file."""
    tree = command()
    root = typer.Context(tree, info_name="audiosim", **tree.context_settings)
    made = {"man/man1/audiosim.1": _main_page(tree, root)}
    for name, sub in tree.commands.items():
        context = typer.Context(sub, info_name=name, parent=root)
        made[f"man/man1/audiosim-{name}.1"] = _command_page(name, sub, context, tree)
    for name in TOPICS:
        made[f"man/man7/audiosim-{name}.7"] = _topic_page((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
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
        lines += _item(field.name, PRESET_TABLE if field.name == "presets" else _default(field.default))
    lines += [".SH ENVIRONMENT"]
    for name, text in ENVIRONMENT.items():
        lines += _item(name, text)
    lines += _exit_status()
    lines += _see_also([f"audiosim-{name}" for name in tree.commands], TOPICS)
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
    lines += _see_also(["audiosim", *(f"audiosim-{n}" for n in tree.commands if n != name)], TOPICS)
    return "\n".join(lines) + "\n"


def _topic_page(source: str) -> str:
    """A page of section 7 from Markdown: headings, paragraphs, bullets (of which `- **term**: ` is a term), code.

    A line `<!-- NAME -->` stands for what the cards tell.
    """
    title, *sections = re.split(r"^#+ ", source, flags=re.MULTILINE)[1:]
    name, _, about = title.strip().partition(": ")
    lines = _heading(name, about, section=7)
    for section in sections:
        heading, _, body = section.partition("\n")
        lines += [f".SH {_roff(heading.upper())}"]
        begun = False  # whether a paragraph was begun below the heading
        for block in _blocks(body):
            made = _block(block)
            lines += [".PP"] * (begun and not made[0].startswith((".TP", ".IP", ".SS"))) + made
            begun = True
    lines += _see_also(["audiosim", "audiosim-compare", "audiosim-explain"], [t for t in TOPICS if name[9:] != t])
    return "\n".join(lines) + "\n"


def _blocks(body: str) -> list[str]:
    """Paragraphs, lists and fenced code, which may hold blank lines."""
    code = re.split(r"^(```.*?^```)$", body, flags=re.MULTILINE | re.DOTALL)
    parts = [[part] if part.startswith("```") else part.split("\n\n") for part in code]
    return [block.strip("\n") for part in parts for block in part if block.strip()]


def _block(text: str) -> list[str]:
    """A paragraph, a list or code of a page's source, as roff."""
    if text.startswith("```"):
        return [".RS 4", ".nf", *map(_roff, text.splitlines()[1:-1]), ".fi", ".RE"]
    if found := re.fullmatch(r"<!-- (\w+) -->", text):
        return TOLD[found[1]]()
    if not text.startswith("- "):
        return [_inline(" ".join(text.split()))]
    lines = []
    for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:]:
        item = " ".join(item.split())
        term = re.match(r"(?:\*\*.+?\*\*|`[^`]+`(?:, `[^`]+`)*): ", item)
        lines += [".TP", _inline(term[0][:-2])] if term else [".IP \\(bu 2"]
        lines.append(_inline(item[len(term[0]) if term else 0 :]))
    return lines


def _inline(text: str) -> str:
    """Markdown's code and strong as bold."""
    made = re.sub(r"`([^`]+)`|\*\*(.+?)\*\*", lambda m: f"\\fB{m[1] or m[2]}\\fR", text.replace("\\", "\\e"))
    made = made.replace("-", "\\-")
    return f"\\&{made}" if made.startswith((".", "'")) else made


def _ours() -> list[Metric]:
    return [metrics.get(name) for name in metrics.own_names()]


def _metrics_told() -> list[str]:
    """Every metric by family, from its card."""
    lines = []
    for family, heading in FAMILIES.items():
        members = [metric for metric in _ours() if metric.card.family == family]
        lines += [f".SS {_roff(heading)}"] if members else []
        for metric in members:
            card = metric.card
            unit = "" if card.unit == "1" else f", in {card.unit}"
            rate = f"; computed at {card.rate} Hz" if card.rate else ""
            caveat = re.split(r"(?<=[.!?])\s+(?=[A-Z])", card.caveat)[0].rstrip(".")
            facts = f"{card.better.capitalize()} is better; gradient: {card.gradient}{rate}"
            lines += _item(metric.name, f"{card.title}{unit}. {facts}. {caveat}.")
            for scale in scales().get(metric.name, ()):
                where = f" where {scale.options}" if scale.options else ""
                kinds = ", ".join(dict.fromkeys(a.kind for a in scale.anchors))
                lines += [".br", _roff(f"Values{where} ({kinds}): {scale.told()}.")]
    return lines


def _options_told() -> list[str]:
    """The options that most metrics share."""
    lines = []
    for option in metrics.get(WEIGHTED).options.values():
        default = str(option.default).lower() if isinstance(option.default, bool) else option.default
        choices = "|".join(map(str, option.choices))
        legal = "" if choices else f"{option.legal}; "
        lines += _item(f"{option.name}{'=' * bool(choices)}{choices}", f"{option.help} ({legal}default: {default}).")
    return lines


def _losses_told() -> list[str]:
    """What metrics promise to those who train with them."""
    exact = [m.name for m in _ours() if m.card.gradient == "exact"]
    dead = [m.name for m in _ours() if m.card.gradient != "none" and m.card.zero_gradient_on_silence]
    lines = ["Exactly the metric:", *_names(exact), ".PP", "A surrogate of it, with what is minimised instead:"]
    for metric in _ours():
        if metric.card.gradient == "surrogate":
            lines += _item(metric.name, metric.card.surrogate.rstrip(".") + ".")
    lines += [".PP", "Exactly the metric, with a gradient that goes through its steps:"]
    for metric in _ours():
        if metric.card.gradient == "straight-through":
            lines += _item(metric.name, metric.card.surrogate.rstrip(".") + ".")
    lines += [".PP", "No gradient on a silent estimate (use dither):", *_names(dead)]
    lines += [".PP", "For signals of one sampling rate only:"]
    return lines + _names(
        [f"{m.name} ({m.card.rate} Hz)" for m in _ours() if m.card.rate and m.card.gradient != "none"]
    )


def _names(names: Sequence[str]) -> list[str]:
    return [_roff(f"{', '.join(names) or 'none'}.")]


TOLD: dict[str, Callable[[], list[str]]] = {
    "metrics": _metrics_told,
    "options": _options_told,
    "losses": _losses_told,
}


def _heading(name: str, title: str, section: int = 1) -> list[str]:
    return [
        '.\\" Generated by python -m audiosim.cli.docs; do not edit.',
        f'.TH {_roff(name.upper())} {section} "" "audiosim" "{"User Commands" if section == 1 else "audiosim Manual"}"',
        ".ad l",  # commands and names are to be found as they are typed
        ".nh",
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(title[:1].lower() + title[1:].rstrip('.'))}",
    ]


def _parameters(sub: Any, context: Any, kind: str) -> Iterator[str]:
    for param in sub.get_params(context):
        record = param.get_help_record(context)
        if record and param.param_type_name == kind:
            term, text = record
            yield from _item(term.removesuffix(" <list[str]>"), text)


def _item(term: str, text: str) -> list[str]:
    return [".TP", f"\\fB{_roff(term)}\\fR", _roff(" ".join(text.split()))]


def _exit_status() -> list[str]:
    lines = [".SH EXIT STATUS", "When several apply, it is the first of 70, 2, 3, 1, 4, 5."]
    for code in ExitCode:
        lines += _item(str(int(code)), code.meaning + ".")
    return lines


def _see_also(commands: Sequence[str], topics: Sequence[str]) -> list[str]:
    pages = [f".BR {_roff(n)} (1)" for n in commands] + [f".BR {_roff(f'audiosim-{n}')} (7)" for n in topics]
    return [".SH SEE ALSO", *(f"{page}," for page in pages[:-1]), pages[-1]]


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
