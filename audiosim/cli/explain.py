"""`audiosim explain`: the list of metrics, the card of one, or where two recordings differ. Only the last computes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import metrics
from ..audio import display_name
from ..config import Settings
from ..errors import ExitCode, UsageError
from ..judge.assembly import pair_row
from ..judge.rows import to_json, to_jsonl
from . import figures, formats, next as following

if TYPE_CHECKING:
    from rich.console import Console

    from ..judge.explain import Explanation

# Dark to bright, as red, green, blue: the picture's colours, evenly spaced in lightness.
COLOURS = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
PICTURE_ROWS = 20
LEGEND = 20  # columns of the scale below it


def run(
    name: str | None,
    reference: str | None,
    test: str | None,
    settings: Settings,
    *,
    every: bool = False,
    gradient: bool = False,
    residual: str | None = None,
    output: str | None,
    plot: str | None = None,
) -> ExitCode:
    """Print what was asked for."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), formats.TABLES)
    if output not in (None, "-"):
        formats.check_output(str(output))
    if every and name is not None:
        raise UsageError("--all lists all metrics; leave out either --all or the arguments")
    happened = test is None and reference is not None and name is not None and not _is_metric(name)
    if residual is not None and not happened:
        raise UsageError("--residual goes with two recordings and no metric: audiosim explain REF TEST --residual FILE")
    if gradient and test is None:
        raise UsageError("--gradient needs a metric and two recordings: audiosim explain NAME REF TEST --gradient")
    if plot is not None:
        if test is None:
            raise UsageError("--plot needs a metric and two recordings: audiosim explain NAME REF TEST --plot FILE")
        figures.check_plot(plot)
    if happened:
        from . import diagnosis

        return diagnosis.run(str(name), str(reference), settings, form, output, residual)
    if name is None:
        _write(every, form, output)
        following.say(following.after_catalogue(every, len(metrics.names())), settings)
    elif reference is None:
        if not _is_metric(name) and Path(name).is_file():
            raise UsageError(f"{display_name(name)} is a recording: explain REF TEST says what happened to one")
        _card(name, form, output)
        following.say(following.after_card(name), settings)
    elif test is None:
        raise UsageError("explain NAME REF TEST needs both recordings; to read about the metric only, give neither")
    else:
        return _pair(name, reference, test, settings, form, output, gradient, plot)
    return ExitCode.OK


def _is_metric(text: str) -> bool:
    """Whether the text names a metric, with options or not; a path such as ./lsd does not."""
    return text.partition(":")[0].strip().lower().replace("_", "-") in metrics.names()


def _card(name: str, form: str, output: str | None) -> None:
    spec = metrics.parse(name)
    from ..judge.explain import card_parts

    parts = card_parts(spec.name)
    fields = [{"field": field, "text": text} for rows in parts.values() for field, text in rows]
    options = [
        {
            "option": option.name,
            "default": option.default,
            "legal": option.legal,
            "help": option.help,
        }
        for option in metrics.options(spec.name).values()
    ]
    if form in ("json", "jsonl"):
        card = {**{str(f["field"]).replace(" ", "_"): f["text"] for f in fields}, "options": options}
        _put(to_json(card) if form == "json" else to_jsonl([card]), output)
    elif form == "table":
        with page(output) as out:
            from rich.text import Text

            from .table import rows_table

            width = max(len(f["field"]) for f in fields) + 4
            for part, stated in parts.items():
                if stated:
                    out.print(Text(part, style="bold"))
                for field, text in stated:
                    for i, line in enumerate(Text(text).wrap(out, max(out.width - width, 20))):
                        out.print(Text(f"  {field if i == 0 else '':<{width - 2}}") + line)
            if options:
                out.print()
                rows_table(options, ("option", "default", "legal", "help"), out)
    else:
        rows = [*fields, *({"field": f"option {o['option']}", "text": _option_text(o)} for o in options)]
        _put(formats.rows_text(rows, form), output)


def _pair(
    name: str,
    reference: str,
    test: str,
    settings: Settings,
    form: str,
    output: str | None,
    gradient: bool,
    plot: str | None,
) -> ExitCode:
    from .. import match as matching
    from ..audio import data_name
    from ..judge.explain import explain
    from .compare import decode, say

    if reference == test == "-":
        raise UsageError("standard input can be read only once: give - for one recording only")
    metrics.parse(name)
    ref, other = decode(reference, test, settings)
    policy = matching.Policy(**settings.policy())
    found = explain(ref, other, name, policy, jobs=settings.jobs, gradient=gradient)
    if not settings.quiet:
        for sentence in matching.describe(found.comparison.match):
            say(sentence)
    if plot is not None:
        figures.write_explanation(plot, found)
    regions = region_rows(found)
    if form in ("json", "jsonl"):
        row = _json_row(found, data_name(reference), data_name(test))
        _put(to_json(row, None if form == "jsonl" else 2), output)
    elif form == "table":
        with page(output) as out:
            _print_page(found, regions, out)
    else:
        _put(formats.to_tsv(regions, REGION) if form == "tsv" else formats.to_csv(regions, REGION), output)
        if not settings.quiet:
            say(found.sentence)
    mapped = found.result.map is not None
    following.say(
        following.after_explanation(name, data_name(reference), data_name(test), settings, mapped=mapped), settings
    )
    return ExitCode.METRIC if found.result.status == "error" else ExitCode.OK


REGION = ("from_s", "to_s", "from_hz", "to_hz", "share", "change", "level_db")


def region_rows(found: Explanation) -> list[dict[str, Any]]:
    """The worst regions as plain data, with all digits."""
    return [
        dict(zip(REGION, (r.start, r.end, r.low, r.high, r.share, r.change, r.level_db), strict=True))
        for r in found.regions
    ]


def _json_row(found: Explanation, reference: str, test: str) -> dict[str, Any]:
    compared = found.comparison
    pair = pair_row(
        reference,
        test,
        {found.spec: found.result},
        rate=compared.ref.rate,
        channels=compared.ref.channels,
        duration_s=compared.ref.duration,
        match=compared.match,
    )
    (result,) = pair["results"]
    shared = {k: v for k, v in pair.items() if k not in ("results", "gates")}
    own = {k: v for k, v in result.items() if k not in ("per_band", "per_time", "map")}
    return {
        **shared,
        **own,
        "of": found.of,
        "sentence": found.sentence,
        "regions": region_rows(found),
        "share_per_band": found.per_band.tolist(),
        "share_per_time": found.per_time.tolist(),
    }


def _print_page(found: Explanation, regions: Sequence[dict[str, Any]], out: Console) -> None:
    from rich.text import Text

    from .table import rows_table
    from .words import number

    unit = "" if found.result.unit == "1" else f" {found.result.unit}"
    value = found.result.status if found.result.value != found.result.value else f"{number(found.result.value)}{unit}"
    out.print(Text(f"{found.spec}  {value}", style="bold"))
    _print_scale(found, out)
    if found.regions:
        _print_picture(found, out)
        out.print()
        shown = [
            {
                "time [s]": f"{r['from_s']:.2f}-{r['to_s']:.2f}",
                "frequency [Hz]": f"{r['from_hz']:.0f}-{r['to_hz']:.0f}",
                "share": f"{100 * r['share']:.0f} %",
                "the test is": r["change"],
                "level": f"{r['level_db']:+.1f} dB",
            }
            for r in regions
        ]
        rows_table(shown, tuple(shown[0]), out)
        out.print()
    out.print(Text(found.sentence))


def _print_scale(found: Explanation, out: Console) -> None:
    """What the value means, among what others would; nothing where that is not known."""
    from ..judge.reading import scale_of
    from .screen import print_scale

    match = found.comparison.match
    spec = metrics.parse(found.spec, {name: match[name]["value"] for name in ("level", "audiogram") if name in match})
    scale = scale_of(spec.name, spec.options)
    if scale is not None and found.regions and found.result.status == "ok":
        print_scale(scale, found.result.value, out)
        out.print()


def _print_picture(found: Explanation, out: Console) -> None:
    """Time to the right, frequency upwards, the share of the distance as brightness; with ticks and a legend."""
    from rich.style import Style
    from rich.text import Text

    from .courses import RAMP, hertz, time_ticks

    margin = 9
    width = max(10, min(out.width - margin - 1, 120))
    colours = out.color_system == "truecolor" and not out.options.ascii_only and not out.no_color
    rows = min(PICTURE_ROWS, found.map.shape[1])
    picture = brightness(found.map, width, 2 * rows if colours else rows)

    def cell(upper: float, lower: float) -> Text:
        if colours:
            return Text("▀", style=Style(color=_colour(upper), bgcolor=_colour(lower)))
        return Text(RAMP[min(int(upper * len(RAMP)), len(RAMP) - 1)])

    for row in range(rows):
        low, high = (found.edges[round((rows - row - i) * (len(found.edges) - 1) / rows)] for i in (1, 0))
        line = Text(f"{hertz((low + high) / 2) if row % 4 == 0 or row == rows - 1 else '':>{margin - 1}} ")
        upper, lower = (picture[2 * row], picture[2 * row + 1]) if colours else (picture[row], picture[row])
        for a, b in zip(upper, lower, strict=True):
            line.append_text(cell(a, b))
        out.print(line)
    out.print(Text(" " * margin + time_ticks(found.comparison.ref.duration, width), style="dim"))
    scale = [i / (LEGEND - 1) for i in range(LEGEND)]
    legend = Text.assemble(" " * margin, ("none ", "dim"), *(cell(a, a) for a in scale))
    legend.append(f" most of the {found.of}" if out.width >= margin + 40 else " most", style="dim")
    out.print(legend)


def brightness(share: Any, columns: int, rows: int) -> list[list[float]]:
    """[row, column] from 0 to 1, highest band first: the map at the size of the picture, root-compressed."""
    import numpy as np

    def resized(values: Any, size: int) -> Any:  # along the first axis: means of what falls into a cell
        edges = np.linspace(0, len(values), size + 1)
        cumulated = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        at = np.stack([np.interp(edges, np.arange(len(values) + 1), c) for c in cumulated.T], axis=1)
        return np.diff(at, axis=0)

    cells = np.maximum(resized(resized(share, columns).T, rows)[::-1], 0.0)
    top = cells.max()
    return np.sqrt(cells / top).tolist() if top > 0 else np.zeros((rows, columns)).tolist()


def _colour(share: float) -> Any:
    from rich.color import Color

    place = share * (len(COLOURS) - 1)
    i = min(int(place), len(COLOURS) - 2)
    mix = place - i
    red, green, blue = (round(a + (b - a) * mix) for a, b in zip(COLOURS[i], COLOURS[i + 1], strict=True))
    return Color.from_rgb(red, green, blue)


def _write(every: bool, form: str, output: str | None) -> None:
    from .catalogue import catalogue, print_families, print_questions

    rows = catalogue()
    if form == "table":
        with page(output) as out:
            (print_families if every else print_questions)(rows, out)
    else:
        _put(formats.rows_text(rows, form), output)


def _option_text(option: dict[str, Any]) -> str:
    return f"{option['help']} (default {option['default']}; {option['legal']})".strip()


class page:
    """A console on stdout, or one whose text goes to the file at the end."""

    def __init__(self, output: str | None) -> None:
        self.output = output

    def __enter__(self) -> Console:
        import io

        from .table import console

        self.text = io.StringIO()
        return console() if self.output in (None, "-") else console(self.text)

    def __exit__(self, problem: Any, *_: object) -> None:
        if problem is None and self.output not in (None, "-"):
            formats.write_file(str(self.output), self.text.getvalue())


def _put(text: str, output: str | None) -> None:
    if output in (None, "-"):
        sys.stdout.write(text)
    else:
        formats.write_file(str(output), text)
