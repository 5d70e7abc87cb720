"""GitHub Actions: annotations on the page of a run, and its step summary."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .findings import Finding

SHOWN = 10  # annotations of a kind that GitHub shows for a step
CAP = 1 << 20  # bytes of a step summary; GitHub refuses a longer one as a whole
CUT = "\n\nThe rest is left out: a step summary holds 1 MiB.\n"


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this runs in a workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def workflow_commands(found: Sequence[Finding], environment: Mapping[str, str] = os.environ) -> str:
    """An annotation a line for the worst ten, and a notice that counts the others; to be written to stderr or stdout.

    Files below the workspace are named relative to it, as GitHub wants them."""
    root = environment.get("GITHUB_WORKSPACE", "")
    lines = []
    for finding in found[:SHOWN]:
        title = _property(f"audiosim: {finding.title}")
        file = "" if finding.file is None else f",file={_property(_below(finding.file, root))}"
        message = ": ".join(filter(None, (finding.about, finding.text)))
        lines.append(f"::error title={title}{file}::{_data(message)}\n")
    if len(found) > SHOWN:
        lines.append(f"::notice title=audiosim::{len(found) - SHOWN} more failed; the step summary tells more\n")
    return "".join(lines)


def write_step_summary(markdown: str, environment: Mapping[str, str] = os.environ) -> None:
    """Append to the step's summary, where there is one, and no more than fits: whole lines only."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    with suppress(OSError), open(path, "ab") as stream:  # noqa: PTH123  a summary that cannot be written fails no build
        data = markdown.encode("utf-8", "backslashreplace")
        room = CAP - stream.tell()
        if len(data) > room:
            kept = data[: max(room - len(CUT.encode()), 0)]
            data = kept[: kept.rfind(b"\n") + 1] + CUT.encode() if room >= len(CUT) else b""
        stream.write(data)


def _below(file: str, root: str) -> str:
    if not root or not Path(file).is_absolute():
        return file
    near = os.path.relpath(file, root)
    return file if near.startswith(os.pardir) else near


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
