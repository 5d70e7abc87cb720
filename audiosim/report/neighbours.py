"""The page of neighbours: what is most like each query, to listen to."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import __version__, audio
from ..dsp.resampling import to_rate
from ..errors import AudiosimError
from ..judge.rows import Row
from ..results import number
from ..signal import Signal
from . import CAP, Page, asset, environment, hashed

QUERIES = 20  # that are shown
EXCERPT = 8.0  # seconds from the middle of a recording
RATE = 22050  # Hz at most, of the excerpts, which are for telling recordings apart


def page(
    rows: Iterable[Row],
    load: Callable[[str], Signal],
    *,
    title: str = "Neighbours",
    notes: Sequence[str] = (),
    cap: int = CAP,
) -> Page:
    """The page of the first 20 queries.

    rows: spec, query, rank, file, distance, scaled (or None), those of a query and spec in the order of their ranks.
    load: the recording that a row calls so. It is asked once for each; one that it cannot load has no player.
    notes: sentences on the whole collection. cap: bytes of the page; what does not fit has no player either.
    """
    from markupsafe import Markup

    lists: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row["query"] in lists or len(lists) < QUERIES:
            lists.setdefault(row["query"], {}).setdefault(row["spec"], []).append(row)
    named = [name for query, by_spec in lists.items() for name in (query, *_files(by_spec))]
    sounds: dict[str, str] = {}
    ids: dict[str, str] = {}
    left_out: list[str] = []
    room = cap
    for name in dict.fromkeys(named):
        sound = "" if left_out else _excerpt(name, load)
        if left_out or len(sound) > room:
            left_out.append(f"{audio.display_name(name)}: its sound")
        elif sound:
            ids[name] = f"sound-{len(ids) + 1}"
            sounds[ids[name]] = Markup(sound)
            room -= len(sound)
    script, style = asset("neighbours.js"), asset("style.css")
    text = (
        environment()
        .get_template("neighbours.html.jinja")
        .render(
            title=title,
            version=__version__,
            style=Markup(style),
            style_hash=hashed(style),
            script=Markup(script),
            script_hash=hashed(script),
            notes=[*notes, *_told(left_out)],
            scaled=any(row["scaled"] is not None for some in lists.values() for few in some.values() for row in few),
            sounds=sounds,
            queries=[
                {
                    "name": audio.display_name(query),
                    "sound": ids.get(query),
                    "lists": [{"spec": spec, "rows": [_row(r, ids) for r in few]} for spec, few in by_spec.items()],
                }
                for query, by_spec in lists.items()
            ],
        )
    )
    return Page(text, tuple(left_out))


def _files(by_spec: dict[str, list[Row]]) -> list[str]:
    return [row["file"] for rows in by_spec.values() for row in rows]


def _row(row: Row, ids: dict[str, str]) -> dict[str, Any]:
    return {
        "rank": row["rank"],
        "name": audio.display_name(row["file"]),
        "distance": number(row["distance"]),
        "scaled": None if row["scaled"] is None else number(row["scaled"]),
        "sound": ids.get(row["file"]),
    }


def _told(left_out: Sequence[str]) -> list[str]:
    return [f"The page is full: {len(left_out)} recordings have no player."] if left_out else []


def _excerpt(name: str, load: Callable[[str], Signal]) -> str:
    """The middle of a recording, one channel, as FLAC in base64; empty where it cannot be loaded."""
    try:
        signal = load(name)
    except AudiosimError:
        return ""
    length = min(round(EXCERPT * signal.rate), signal.length)
    first = (signal.length - length) // 2
    middle = signal.samples[:, first : first + length].mean(0, keepdims=True, dtype=np.float64)
    middle /= max(float(np.abs(middle).max(initial=0.0)), 1.0)
    piece = Signal(middle.astype(np.float32), signal.rate, signal.name)
    if signal.rate > RATE:
        piece = to_rate(piece, RATE)
    return b64encode(audio.encode(piece, "flac", 16)).decode("ascii")
