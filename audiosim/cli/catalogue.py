"""The list of metrics: by the question that each answers, or all of them by family. From the cards alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import metrics

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What people want to know, and the metrics to ask, the first one first, each with what it is good for here.

    preset: the set that asks several.
    """

    text: str
    answers: Mapping[str, str]
    preset: str | None = None


QUESTIONS: Mapping[str, Question] = {
    "same": Question(
        "is it the same?",
        {
            "snr": "the signal against the error, in dB",
            "si-sdr": "the same whatever the level, in dB",
            "rmse": "the size of the error",
            "dc": "a constant offset",
            "glitches": "new clicks, dropouts, skips, clipping",
            "lufs": "whether one is louder, in LU",
            "phase": "the phases of the spectrum alone",
        },
        "null",
    ),
    "heard": Question(
        "would I hear it?",
        {
            "auditory": "what an ear makes of both: start here",
            "nmr": "whether the error is masked, in dB",
            "par": "whether the error can be detected",
            "noise-loudness": "how loud the error is, in sone",
            "loudness": "whether one is louder, in sone",
            "zimtohrli": "differences just beyond the audible",
        },
    ),
    "speech": Question(
        "how good is the speech?",
        {
            "pesq": "the standard of telephony, MOS",
            "visqol-speech": "bears delays and levels, MOS",
            "warp-q": "of generative and neural codecs",
            "composite": "noise and distortion apart, MOS",
            "hasqi": "through hearing aids, 0 to 1",
            "mcd": "synthesis: timbre, in dB",
            "fwseg-snr": "noise as speech weighs it, in dB",
        },
        "speech",
    ),
    "intelligibility": Question(
        "is the speech understood?",
        {
            "stoi": "the usual one for noise, 0 to 1",
            "siib-gauss": "information that arrives, in bit/s",
            "csii": "with noise or clipping, 0 to 1",
            "haspi": "with hearing loss, 0 to 1",
            "ncm": "of envelopes, 0 to 1",
            "srmr": "in reverberation; hears the test alone",
        },
        "intelligibility",
    ),
    "alone": Question(
        "is there no reference?",
        {
            "dnsmos": "speech behind noise suppression, MOS",
            "nisqa": "transmitted speech, and why, MOS",
            "plcmos": "speech with lost packets, MOS",
            "srmr": "speech in reverberation",
        },
    ),
    "codec": Question(
        "how good is the codec?",
        {
            "auditory": "with form=audibility: is it heard?",
            "peaq": "how annoying it is, 0 to -4, the standard",
            "peaq-advanced": "the same by a finer ear",
            "pemo-q": "what added noise does to hearing, 0 to 1",
            "nmr": "whether the error is masked, in dB",
            "visqol": "bears delays and levels, MOS",
            "zimtohrli": "differences just beyond the audible",
        },
        "codec",
    ),
    "music": Question(
        "how good is the music?",
        {
            "auditory": "what an ear makes of both: start here",
            "two-f": "of separated sources, 0 to 100",
            "zimtohrli": "differences just beyond the audible",
            "peaq": "how annoying it is, 0 to -4",
            "mfcc": "timbre, in dB",
            "lufs": "whether one is louder, in LU",
        },
        "music",
    ),
    "alike": Question(
        "are they alike, whatever is played?",
        {
            "timbre-js": "instruments and voices",
            "tone": "amplifiers and effects",
            "long-term-spectrum": "the equaliser between them, in dB",
            "fluctuation": "the kind of rhythm",
            "loudness-profile": "dynamics",
            "space": "the stereo image",
            "speaker": "the voice of a speaker",
            "embedding": "what a network tells apart",
        },
    ),
    "played": Question(
        "is the same played?",
        {
            "f0": "the pitch of a voice",
            "melody": "notes, in semitones",
            "chroma": "notes, frame by frame",
            "onset": "when notes begin",
            "beat": "when beats fall",
            "tempo": "how fast, in octaves",
            "cover": "in any key, tempo and arrangement",
        },
    ),
    "training": Question(
        "what do I train on?",
        {
            "auditory-loss": "what is heard of the wave's error",
            "mr-stft": "the usual one, of several spectra",
            "mel-stft": "the same in mel bands",
            "log-mel": "mel spectra, in dB",
            "complex-stft": "spectra with their phases",
            "si-sdr": "waveforms, to separate sources",
            "esr": "waveforms, to model devices",
            "stoi": "speech that is understood",
        },
        "loss",
    ),
}


def catalogue() -> list[Row]:
    """One row a metric. groups: the questions that it answers."""
    cards = {name: metrics.get(name).card for name in metrics.names()}
    return [
        {
            "name": name,
            "title": card.title,
            "family": card.family,
            "better": card.better,
            "unit": card.unit,
            "gradient": card.gradient,
            "groups": [key for key, question in QUESTIONS.items() if name in question.answers],
        }
        for name, card in cards.items()
    ]


def print_questions(rows: Sequence[Row], out: Console) -> None:
    """By question, a line a metric; then what comes from files and packages of others."""
    from rich.text import Text

    own = metrics.own_names()
    for question in QUESTIONS.values():
        heading = Text(question.text, style="bold")
        if question.preset:
            heading.append(f"  --preset {question.preset}", style="not bold dim")
        _print_group(heading, question.answers, out)
    if added := {row["name"]: row["title"] for row in rows if row["name"] not in own}:
        _print_group(Text("from files and packages of others", style="bold"), added, out)


COLUMNS = ("name", "title", "better", "unit", "gradient")
MOST = 8  # lines of a group


def print_families(rows: Sequence[Row], out: Console) -> None:
    """All of them."""
    from rich.text import Text

    from .table import rows_table

    for family in dict.fromkeys(row["family"] for row in rows):
        out.print(Text(family, style="bold"))
        rows_table([row for row in rows if row["family"] == family], COLUMNS, out)
        out.print()


def _print_group(heading: Text, answers: Mapping[str, str], out: Console) -> None:
    """Names in one column as wide as for all, so that the groups stand below one another; on a screen where that would
    take more than MOST lines, the names alone."""
    from rich.text import Text

    from .layout import GAPS

    margin = max(len(name) for question in QUESTIONS.values() for name in question.answers) + 2 + GAPS[-1]
    for line in heading.wrap(out, out.width):
        out.print(line)
    lines = []
    for name, answer in answers.items():
        start = f"  {name}"
        if len(start) > margin - GAPS[-1]:
            lines.append(Text(start))
            start = ""
        for i, line in enumerate(Text(answer).wrap(out, max(out.width - margin, 10))):
            lines.append(Text(f"{start if i == 0 else '':<{margin}}") + line)
    if len(lines) > MOST >= len(answers):
        lines = [Text("  ") + line for line in Text(", ".join(answers)).wrap(out, max(out.width - 2, 10))]
    for line in lines:
        out.print(line)
    out.print()
