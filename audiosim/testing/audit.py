"""What is true of a metric: its axioms, what it hears, and what it teaches, measured; and whether its card says so.

Tversky 1977, Psychological Review 84(4), doubts minimality, symmetry and the triangle inequality of human similarity;
so the audit asks all three of metrics, and by how much they fail.

Everything is told of a distance d(ref, test) >= 0 that is made of the value: how much worse it is than that of the
reference with itself; of ratios in dB without an end, 10^(-value / 20), a ratio of amplitudes. Its unit, where one is
needed, is the distance of white noise 20 dB below the sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations, permutations
from math import exp, inf, isfinite, isinf, log, nan
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import metrics
from ..errors import InputError, UsageError
from ..judge.gates import COMPARE
from ..metric import Metric
from . import pitch
from .contract import ASYMMETRIC, ROUNDING, UNHEARD, asymmetry, duration, loudest, movements, rate_of
from .signals import DISTORTIONS, GRADED, Array, chord_music, noise, shaped_noise, speech_like

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..signal import Signal

CONTRADICTED = "contradicted"  # in rules: how often the card is
_RULE = re.compile(r"(?P<name>[\w.]+)\s*(?P<operator><=|>=|<|>)\s*(?P<limit>\S+)")
SECONDS = 1.0  # of a sound
SHORTEST, LONGEST = 0.25, 3.0  # s of given ones: what they must have, and what is used of them
SINES = 0.5  # s of a sine
LEVELS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # strengths of a graded distortion
UNIT = 0.1  # noise 20 dB below the sound
MASKED = 10 ** (-13 / 20)  # noise that a masker of its spectrum hides: Brandenburg's 13 dB
TRIPLES, PAIRS = 100, 60  # of sines
NEARBY = (1.0, 12.0)  # semitones between the sines of a pair
SLOPE = 1e-2  # by which a gradient may be off finite differences
TICKS = 0.05  # s of CPU that are measured at once
EVEN = 0.005  # by which a ratio that is called even may be off 1
NEAR = 1e-4  # of a value, or of its unit, by which a loss may be off the metric
LATER = {"1_sample": 0.0, "1_ms": 1e-3, "10_ms": 1e-2}  # s
RECOVERED = ("log-mel", "mfcc", "lsd", "mr-stft", "tversky", "spectral-transport")  # judges of what descent leads to
STEPS = 150

# Every property that has a value, what it is, and its unit; they are findings, and names in rules.
PROPERTIES: Mapping[str, tuple[str, str]] = {
    "identity": ("how far values of identical files are from the one that they should have", "of the metric"),
    "minimality": ("how much better than an identical file anything scored", "of the metric"),
    "range": ("share of values that are out of the card's range", "1"),
    "symmetry": ("change of the distance when reference and test are exchanged, mean", "1"),
    "symmetry.direction": ("distance of a degraded test to that of a degraded reference", "ratio"),
    "triangle": ("share of triples in which the way over a third sound is shorter", "1"),
    "triangle.size": ("the longest direct way to the way over a third sound", "ratio"),
    "monotony": ("order of six strengths: 1 right, 0 none, -1 reversed; the least of the distortions", "1"),
    **{f"monotony.{name}": (f"the same under {name.replace('_', ' ')}", "1") for name in GRADED},
    "insensitive": ("what the card says is not heard, to what is heard most", "ratio"),
    "invariance.polarity": ("distance of the inverted sound", "noise at 20 dB"),
    **{
        f"invariance.delay_{late}": (f"distance of the sound {late.replace('_', ' ')} later", "noise at 20 dB")
        for late in LATER
    },
    "invariance.dither": ("distance of 16 bits with dither", "noise at 20 dB"),
    "invariance.gain_0.1_db": ("distance of 0.1 dB, up or down", "noise at 20 dB"),
    "invariance.gain_1_db": ("distance of 1 dB, up or down", "noise at 20 dB"),
    "invariance.dc": ("distance of a constant of 0.01", "noise at 20 dB"),
    "added_to_missing": ("distance of sound that was added to that of the same sound missing", "ratio"),
    "masking": ("distance of white noise to that of noise shaped like the sound, both 13 dB below it", "ratio"),
    "pitch.value": ("share of sines of which the nearer in pitch has the smaller distance; 0.5 is chance", "1"),
    "pitch.gradient": ("share of sines whose gradient leads to the target's pitch; 0.5 is chance", "1"),
    "gradient": ("share of gradients that are finite: near and far, of silence, of identical files", "1"),
    "gradient.error": ("derivative off finite differences, the largest", "1"),
    "gradient.identity": ("gradient at identical files", "noise at 20 dB"),
    "gradient.silence": ("gradient of a silent test", "noise at 20 dB"),
    "gradient.second": ("1 where the gradient has one itself, else 0", "1"),
    "recovery": (f"what {STEPS} steps of descent on samples leave of other metrics, mean", "1"),
    "cost": ("CPU time of a value", "s per s of sound"),
    "cost.gradient": ("CPU time of loss and gradient", "s per s of sound"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of a metric.

    name: a key of PROPERTIES. value: nan where there is none, and reason says why; unit: of the value. says: the
    same in words. claim: what the card says of it, "" where nothing; agrees: whether it is right, None without a claim
    or where that cannot be told.
    """

    name: str
    value: float
    says: str
    claim: str = ""
    agrees: bool | None = None
    reason: str | None = None

    @property
    def unit(self) -> str:
        return PROPERTIES[self.name][1]


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """All that was found of one metric. rate in Hz, seconds of each of the sounds."""

    spec: str
    rate: int
    seconds: float
    sounds: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __getitem__(self, name: str) -> Finding:
        return next(f for f in self.findings if f.name == name)

    @property
    def contradicted(self) -> list[Finding]:
        """What the card says and the audit did not find."""
        return [f for f in self.findings if f.agrees is False]

    def to_dict(self) -> dict[str, Any]:
        """As `audiosim audit --format json` prints it: plain data that json.dumps takes, without nan."""
        from ..judge.rows import strict

        spec = metrics.parse(self.spec)
        metric = metrics.get(spec.name)
        defaults = {o.name: o.default for o in metric.options.values()}
        row: dict[str, Any] = strict(
            {
                "metric": spec.name,
                "metric_version": metric.version,
                "spec": self.spec,
                "options": {**defaults, **spec.options},
                "rate": self.rate,
                "seconds": self.seconds,
                "sounds": list(self.sounds),
                "findings": [{**asdict(f), "unit": f.unit} for f in self.findings],
                "contradicted": len(self.contradicted),
            }
        )
        return row

    def __str__(self) -> str:
        width = max(len(f.name) for f in self.findings)
        lines = [f"{f.name:<{width}}  {f.says or f.reason}{_told(f)}" for f in self.findings]
        return "\n".join([f"{self.spec}, {self.rate} Hz, {' and '.join(self.sounds)}", *lines])

    __repr__ = __str__


def audit(
    metric: str,
    sounds: Signal | ArrayLike | str | Sequence[Signal | ArrayLike | str] = (),
    *,
    rate: int | None = None,
    full: bool = False,
    only: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Find out what is true of a metric, ours or another's, and hold its card to that.

    metric: a spec, such as "log-mel:bands=64".
    sounds: arrays [sample] or [channel, sample] with full scale 1.0, Signals or paths, one or several. Channels are
        mixed to one, and the loudest three seconds used. Without them, a second of synthetic speech and of chords.
    rate: Hz, for arrays.
    full: descend on samples too, which takes long.
    only: properties to look at, such as "monotony" or "invariance.dc"; all where none is named.
    progress: called with the name of what is looked at next.
    Needs torch for gradients, which are left out without it. With options, the card is not held to what it says of
    the metric without them. Raises UsageError for an unknown metric or property, InputError for sounds that the metric
    cannot take, MetricError where a metric from outside fails.
    """
    check_properties(only)
    case = _Case(metric, sounds, rate)
    found: list[Finding] = []
    for topic, look in _TOPICS.items():
        names = [name for name in PROPERTIES if name == topic or name.startswith(f"{topic}.")]
        wanted = [name for name in names if not only or name in only]
        if wanted and (full or topic != "recovery"):
            if progress:
                progress(topic)
            if case.card.non_intrusive and topic in _OF_TWO:
                found += [_missing(name, "it judges the test alone") for name in wanted]
            else:
                found += [f for f in look(case) if f.name in wanted]
    return Audit(metric, case.rate, case.seconds, case.names, tuple(found))


def check_properties(names: Sequence[str]) -> None:
    """UsageError for one that is not among PROPERTIES."""
    from ..options import nearest

    for name in names:
        if name not in PROPERTIES:
            raise UsageError(
                f"there is no property {name!r}{nearest(name, list(PROPERTIES), cutoff=0.6)}; "
                f"one of: {', '.join(PROPERTIES)}"
            )


@dataclass(frozen=True, slots=True)
class Rule:
    """What must be true of a metric: a property, or "contradicted", how often its card is."""

    text: str
    name: str
    operator: str
    limit: float

    def judge(self, audit: Audit) -> dict[str, Any]:
        """Whether it is, as plain data; a property without a value is not."""
        value, reason = float(len(audit.contradicted)), None
        if self.name != CONTRADICTED:
            found = next((f for f in audit.findings if f.name == self.name), None)
            value = found.value if found else nan
            reason = found.reason if found else "it was not looked at"
        elif value:
            reason = ", ".join(f"{f.name}: {f.says or f.reason}" for f in audit.contradicted)
        return {
            "require": self.text,
            "name": self.name,
            "value": value,
            "passed": COMPARE[self.operator](value, self.limit),
            "reason": reason,
        }


def rule(text: str) -> Rule:
    """`monotony>=0.9` or `contradicted<=0` as a Rule; UsageError for another text."""
    found = _RULE.fullmatch(text.strip())
    try:
        limit = float(found["limit"]) if found else nan
    except ValueError:
        limit = nan
    if not found or limit != limit:
        raise UsageError(
            f"the rule {text!r} is not PROPERTY OPERATOR NUMBER with one of < <= > >=, such as 'monotony>=0.9' or "
            "'contradicted<=0'"
        )
    if found["name"] != CONTRADICTED:
        check_properties([found["name"]])
    return Rule(text, found["name"], found["operator"], limit)


class _Case:
    """A metric and the sounds to try it on."""

    def __init__(self, spec: str, sounds: Any, rate: int | None) -> None:
        parsed = metrics.parse(spec)
        self.spec, self.options = spec, parsed.options
        self.metric: Metric = metrics.get(parsed.name)
        self.card = self.metric.card
        self.claims = not self.options  # the card speaks of the defaults
        self.scale = self.metric.scale(self.metric.chosen(self.options))
        self.logarithmic = self.scale.unit == "dB" and isinf(self.card.range[self.scale.better == "higher"])
        self.rate, self.sounds, self.names = _sounds(self.metric, sounds, rate)
        self.seconds = self.sounds[0].shape[1] / self.rate
        self.values: list[float] = []  # of everything that was tried
        self.of_identical: list[tuple[Array, float]] = []
        self.of_identical = [(x, self.identical(x)) for x in self.sounds]
        if all(not isfinite(d) for d in self.units):
            answer = self.metric.compute(self.sounds[0], self.noisy[0], self.rate, **self.options)
            raise InputError(f"{spec} has no value of these sounds: {answer.reason or answer.status}")

    def value(self, ref: Array, test: Array) -> float:
        """nan where there is none."""
        answer = self.metric.compute(ref, test, self.rate, **self.options).value
        self.values.append(answer)
        return answer

    def badness(self, value: float) -> float:
        return value if self.scale.better == "lower" else -value

    def identical(self, ref: Array) -> float:
        """Badness of a sound with itself."""
        for x, known in self.of_identical:
            if x is ref:
                return known
        return self.badness(self.value(ref, ref.copy()))

    def distance(self, ref: Array, test: Array) -> float:
        """0 or more; nan where there is none."""
        return self.as_distance(self.value(ref, test), 0.0 if self.logarithmic else self.identical(ref))

    def as_distance(self, value: float, best: float) -> float:
        if self.logarithmic:
            return float(10 ** (self.badness(value) / 20))
        return max(self.badness(value) - best, 0.0) if value == value else nan

    @cached_property
    def noisy(self) -> list[Array]:
        return [DISTORTIONS["noise"](x, self.rate, UNIT, 1) for x in self.sounds]

    @cached_property
    def units(self) -> list[float]:
        """Distance of noise 20 dB below each sound."""
        return [self.distance(x, y) for x, y in zip(self.sounds, self.noisy, strict=True)]

    @cached_property
    def pool(self) -> tuple[list[tuple[int, Array]], Any]:
        """(number of its sound, sound) of originals and what was made of them, and the values [ref, test]."""
        pool = []
        for i, x in enumerate(self.sounds):
            pool += [(i, x)]
            pool += [(i, DISTORTIONS["noise"](x, self.rate, s, 2)) for s in (0.1, 0.2)]
            pool += [(i, DISTORTIONS[d](x, self.rate, s, 2)) for d, s in (("low_pass", 0.5), ("gain", 0.3))]
        values = np.array([[self.value(a, b) for _, b in pool] for _, a in pool])
        return pool, values

    @cached_property
    def distances(self) -> Any:
        """Of the pool, [ref, test]."""
        _, values = self.pool
        return np.array(
            [
                [self.as_distance(v, self.badness(values[i, i])) if i != j else 0.0 for j, v in enumerate(row)]
                for i, row in enumerate(values)
            ]
        )


def _sounds(metric: Metric, given: Any, rate: int | None) -> tuple[int, list[Array], tuple[str, ...]]:
    """Rate, sounds [1, sample] of one length, and their names."""
    from ..signal import Signal

    given = [given] if isinstance(given, str | Signal | np.ndarray) else given
    if not given:
        rate = rate_of(metric)
        kinds = speech_like, chord_music
        made = [f(rate, duration(metric, SECONDS), 11) for f in kinds]
        return rate, made, tuple(f.__name__.replace("_", " ") for f in kinds)
    from ..comparison import policy_of, signal_of
    from ..dsp.resampling import to_rate

    read = [signal_of(s, rate, f"sound {i}", policy_of({})) for i, s in enumerate(given, 1)]
    rate = metric.card.rate or max(s.rate for s in read)
    mono = [to_rate(s, rate).samples.astype(np.float64).mean(0, keepdims=True) for s in read]
    for signal, x in zip(read, mono, strict=True):
        if not x.any():
            raise InputError(f"{signal.name}: is silent; an audit needs sound")
        if x.shape[1] < SHORTEST * rate:
            raise InputError(f"{signal.name}: is {signal.duration:.3g} s long; an audit needs {SHORTEST:g} s")
    most = round(max(LONGEST, duration(metric, SECONDS)) * rate)
    size = min(most, *(x.shape[1] for x in mono))
    return rate, [_loudest(x, size) for x in mono], tuple(s.name for s in read)


def _loudest(x: Array, size: int) -> Array:
    """So many samples of x, where it has most energy."""
    energy = np.cumsum(np.pad(x[0] ** 2, (1, 0)))
    begin = int(np.argmax(energy[size:] - energy[:-size]))
    return np.ascontiguousarray(x[:, begin : begin + size])


# What is looked at


def _identity(case: _Case) -> Iterator[Finding]:
    card = case.card
    values = [case.value(x, x.copy()) for x in case.sounds]
    claim = "" if card.identical is None or not case.claims else f"identical={card.identical:.6g}"
    wanted = card.identical if claim and card.identical is not None else values[0]
    off = float(np.max([0.0 if v == wanted else abs(v - wanted) for v in values]))
    given = " and ".join(dict.fromkeys(f"{v:.6g}" for v in values))
    yield _finding("identity", off, f"identical files give {given}", claim, off == 0)


def _minimality(case: _Case) -> Iterator[Finding]:
    card = case.card
    claim = f"identity_tolerance={card.identity_tolerance:g}" if case.claims else ""
    better, what = 0.0, ""
    for x in case.sounds:
        best = case.identical(x)
        for name, distorted in DISTORTIONS.items():
            for strength in (0.1, 1.0):
                gain = best - case.badness(case.value(x, distorted(x, case.rate, strength, 1)))
                if gain > better:
                    better, what = gain, f"{name} of {strength:g} beats it by {gain:.3g}"
    said = what or "nothing beats identity"
    yield _finding("minimality", better, said, claim, better <= card.identity_tolerance)


def _symmetry(case: _Case) -> Iterator[Finding]:
    pool, values = case.pool
    d = case.distances
    audible = ASYMMETRIC * _mean(case.units)  # what is nearer is rounding
    far = np.isfinite(d) & np.isfinite(d.T) & (np.maximum(d, d.T) > audible)
    pairs = [(i, j) for i, j in combinations(range(len(pool)), 2) if far[i, j]]
    changes = [2 * abs(d[i, j] - d[j, i]) / (d[i, j] + d[j, i]) for i, j in pairs]
    most = max((asymmetry(values[i, j], values[j, i]) for i, j in pairs), default=nan)
    symmetric = most <= (ROUNDING if case.card.symmetric else ASYMMETRIC)
    told = case.claims and not (symmetric and case.card.content)  # whose decisions may all fall alike
    claim = ("symmetric" if case.card.symmetric else "not symmetric") if told else ""
    mean = _mean(changes)
    said = "the same both ways" if mean <= ROUNDING else f"changed by {100 * mean:.3g} % when exchanged"
    yield _finding("symmetry", mean, said, claim, symmetric == case.card.symmetric)
    original = {i: k for k, (i, x) in enumerate(pool) if x is case.sounds[i]}
    there = [(original[i], k) for k, (i, _) in enumerate(pool) if far[original[i], k]]
    ratios = [d[i, k] / d[k, i] for i, k in there if d[k, i] > 0]
    ratio = _geometric(ratios)
    same = abs(ratio - 1) < EVEN
    said = "alike whichever is degraded" if same else f"degraded test {ratio:.3g} times reference"
    yield _finding("symmetry.direction", ratio, said)


def _triangle(case: _Case) -> Iterator[Finding]:
    d = case.distances
    tried = broken = 0
    longest = 0.0
    for a, b, c in permutations(range(len(d)), 3):
        way, direct = d[a, b] + d[b, c], d[a, c]
        if isfinite(way) and isfinite(direct):
            tried += 1
            broken += direct > way * (1 + ROUNDING)
            longest = max(longest, direct / way if way else inf if direct else 0.0)
    claim = "triangle" if case.card.triangle and case.claims else ""
    said = f"{broken} of {tried} triples break it" if broken else f"{tried} triples keep it"
    yield _finding("triangle", broken / tried if tried else nan, said, claim, not broken)
    said = f"up to {longest:.3g} times the way round"
    yield _finding("triangle.size", longest, said)


def _monotony(case: _Case) -> Iterator[Finding]:
    found = []
    for name, distorted in GRADED.items():
        taus = []
        for x, unit in zip(case.sounds, case.units, strict=True):
            ladder = [case.distance(x, distorted(x, case.rate, s, 3)) for s in LEVELS]
            taus.append(_kendall(ladder, ASYMMETRIC * unit))
        found.append(_finding(f"monotony.{name}", _mean(taus), f"Kendall's tau {_mean(taus):.2f}"))
    heard = [f for f in found if f.name.partition(".")[2] not in case.card.insensitive_to and isfinite(f.value)]
    least = min(heard, key=lambda f: f.value, default=found[0])
    name = least.name.partition(".")[2].replace("_", " ")
    said = "stronger is farther, always" if least.value == 1 else f"weakest under {name}: tau {least.value:.2f}"
    yield _finding("monotony", least.value, said)
    yield from found


def _insensitive(case: _Case) -> Iterator[Finding]:
    card, x = case.card, case.sounds[0]

    def moved(strength: float, names: Sequence[str]) -> dict[str, float]:
        return movements(case.value, x, case.rate, strength, names)

    full = moved(1.0, list(DISTORTIONS))
    scale = loudest({d: m for d, m in full.items() if d not in card.insensitive_to})
    shares = {d: max(m, full[d]) / scale for d, m in moved(0.3, card.insensitive_to).items()}
    claim = f"insensitive_to {', '.join(card.insensitive_to)}" if card.insensitive_to and case.claims else ""
    deaf = [d for d, m in full.items() if m <= UNHEARD * scale]
    said = f"deaf to {', '.join(deaf)}" if deaf else "hears every distortion"
    most = max(shares.values(), default=0.0)
    yield _finding("insensitive", most, said, claim, most <= UNHEARD)


def _invariance(case: _Case) -> Iterator[Finding]:
    rate = case.rate

    def later(x: Array, seconds: float) -> Array:
        late = max(round(seconds * rate), 1)
        return np.concatenate([np.zeros((1, late)), x[:, :-late]], axis=1)

    def dithered(x: Array) -> Array:
        rng = np.random.default_rng(5)
        triangular = rng.uniform(-0.5, 0.5, x.shape) + rng.uniform(-0.5, 0.5, x.shape)
        return np.asarray(np.round(x * 32768 + triangular) / 32768)

    changes: dict[str, list[Callable[[Array], Array]]] = {
        "polarity": [lambda x: -x],
        **{f"delay_{name}": [lambda x, s=s: later(x, s)] for name, s in LATER.items()},  # type: ignore[misc]
        "dither": [dithered],
        "gain_0.1_db": [lambda x: x * 10**0.005, lambda x: x * 10**-0.005],
        "gain_1_db": [lambda x: x * 10**0.05, lambda x: x * 10**-0.05],
        "dc": [lambda x: x + 0.01],
    }
    for name, ways in changes.items():
        shares = [
            case.distance(x, way(x)) / unit
            for x, unit in zip(case.sounds, case.units, strict=True)
            for way in ways
            if unit > 0
        ]
        share = _mean(shares)
        said = "not heard" if share <= UNHEARD else f"{share:.3g} of noise at 20 dB"
        yield _finding(f"invariance.{name}", share, said)


def _added(case: _Case) -> Iterator[Finding]:
    ratios = []
    for x in case.sounds:
        n, rate, level = x.shape[1], case.rate, UNIT * float(np.sqrt(np.mean(x**2)))
        time = np.arange(n) / rate
        tone = np.sqrt(2) * np.sin(2 * np.pi * min(5000.0, 0.3 * rate) * time)
        hiss = noise(rate, n / rate, 7)[0, :n] / 0.1
        burst = 3 * hiss * ((time > 0.4 * time[-1]) & (time < 0.6 * time[-1]))
        band = np.convolve(hiss, np.ones(9) / 3, "same")  # most of it below a ninth of the rate
        for sound in (tone, burst, band):
            more = x + level * sound
            forth, back = case.distance(x, more), case.distance(more, x)
            if forth > 0 and back > 0:
                ratios.append(forth / back)
    ratio = _geometric(ratios)
    same = abs(ratio - 1) < EVEN
    said = "added and missing alike" if same else f"added {ratio:.3g} times missing"
    yield _finding("added_to_missing", ratio, said)


def _masking(case: _Case) -> Iterator[Finding]:
    ratios = []
    for x in case.sounds:
        white, hidden = (case.distance(x, f(x, case.rate, MASKED, 4)) for f in (DISTORTIONS["noise"], shaped_noise))
        if white > 0 and hidden > 0:
            ratios.append(white / hidden)
    ratio = _geometric(ratios)
    yield _finding("masking", ratio, f"white {ratio:.3g} times masked noise")


def _pitch_value(case: _Case) -> Iterator[Finding]:
    right, told = 0.0, 0
    sines = pitch.triples(TRIPLES, case.rate, duration(case.metric, SINES))
    for target, near, far in zip(*sines, strict=True):
        nearer, farther = (case.badness(case.value(target[None], x[None])) for x in (near, far))
        if isfinite(nearer) and isfinite(farther):
            told += 1
            right += (nearer < farther) + 0.5 * (nearer == farther)
    share = right / told if told > TRIPLES // 2 else nan
    yield _finding("pitch.value", share, f"the nearer is nearer in {100 * share:.0f} %")


def _pitch_gradient(case: _Case) -> Iterator[Finding]:
    if why := _no_gradient(case):
        yield _missing("pitch.gradient", why)
        return
    from .training import pitch_direction

    try:
        share = pitch_direction(case.spec, case.rate, NEARBY, PAIRS, duration(case.metric, SINES))
    except Exception as wrong:  # noqa: BLE001  whatever the twin of a metric does
        yield _missing("pitch.gradient", _failure(wrong))
    else:
        yield _finding("pitch.gradient", share, f"leads to the pitch in {100 * share:.0f} %")


def _gradient(case: _Case) -> Iterator[Finding]:
    claim = f"gradient={case.card.gradient}" if case.claims else ""
    if why := _no_gradient(case):
        untold = not claim or case.card.gradient != "none"
        yield _missing("gradient", why, *(() if untold else (claim, True)))
        return
    from .training import one_thread

    try:
        with one_thread():
            yield from list(_slopes(case))
    except Exception as wrong:  # noqa: BLE001  whatever the twin of a metric does
        yield _missing("gradient", _failure(wrong), claim, False if claim else None)


def _slopes(case: _Case) -> Iterator[Finding]:
    """What the gradients of the loss are like."""
    from ..loss import Loss
    from .training import has_second_gradient, slope_error, with_gradient

    card = case.card
    loss = Loss(case.spec, case.rate, "none", silent="keep")
    x, noisy = case.sounds[0], case.noisy[0]
    silent, other = np.zeros_like(x), noise(case.rate, case.seconds, 8)[:, : x.shape[1]]
    tried = {
        "noise": (noisy, x),
        "identity": (x, x),
        "nearly identity": (x + 1e-4 * (noisy - x), x),
        "other sound": (other, x),
        "silence": (silent, x),
        "a silent reference": (x, silent),
        "silence twice": (silent, silent),
    }
    slopes = {name: with_gradient(loss, *pair) for name, pair in tried.items()}
    bad = [name for name, (v, slope) in slopes.items() if not (isfinite(v) and np.isfinite(slope).all())]
    said = f"not finite at {', '.join(bad)}" if bad else f"finite in all {len(tried)} cases"
    yield _finding("gradient", 1 - len(bad) / len(tried), said, "finite" if case.claims else "", not bad)

    errors = [slope_error(loss, y, x, card.steepest) for x, y in zip(case.sounds, case.noisy, strict=True)]
    error = max((e for e in errors if e == e), default=nan)
    apart = 0.0
    if card.gradient != "surrogate":  # the loss is the metric
        for x, y in zip(case.sounds, case.noisy, strict=True):
            value, told = case.badness(case.value(x, y)), with_gradient(loss, y, x)[0]
            apart = max(apart, abs(told - value) / max(1.0, abs(value))) if isfinite(value) else apart
    said = f"{100 * error:.2g} % off finite differences"
    said += f"; the loss is {100 * apart:.2g} % off the metric" if apart > NEAR else ""
    claim = f"gradient={card.gradient}" if case.claims else ""
    right = card.gradient == "straight-through" or error <= SLOPE  # whose steps differences do not see
    yield _finding("gradient.error", error, said, claim, right and apart <= NEAR)

    norms = {name: float(np.linalg.norm(slope)) for name, (_, slope) in slopes.items()}
    unit = norms["noise"] or nan
    share = norms["identity"] / unit
    yield _finding("gradient.identity", share, "none at identity" if share == 0 else f"{share:.2g} at identity")
    share = norms["silence"] / unit
    claim = ("zero" if card.zero_gradient_on_silence else "not zero") + "_gradient_on_silence" if case.claims else ""
    said = "none: silence learns nothing" if share == 0 else f"{share:.2g} at a silent test"
    yield _finding("gradient.silence", share, said, claim, (share == 0) == card.zero_gradient_on_silence)
    twice = has_second_gradient(loss, case.noisy[0], case.sounds[0])
    claim = ("" if card.twice else "not ") + "twice" if case.claims else ""
    said = f"the gradient has {'one' if twice else 'none'} itself"
    yield _finding("gradient.second", twice, said, claim, twice == card.twice)


def _recovery(case: _Case) -> Iterator[Finding]:
    why = _no_gradient(case)
    if why is not None:
        yield _missing("recovery", why)
        return
    from .training import falls

    judges = [name for name in RECOVERED if name != metrics.parse(case.spec).name]
    dull = [DISTORTIONS["low_pass"](x, case.rate, 0.5) for x in case.sounds]
    damaged = [DISTORTIONS["noise"](x, case.rate, 0.18, 1) for x in dull]
    left = falls(case.spec, np.concatenate(damaged), np.concatenate(case.sounds), case.rate, judges, STEPS)
    parts = ", ".join(f"{name} {share:.2f}" for name, share in left.items())
    yield _finding("recovery", _geometric(list(left.values())), f"descent leaves {parts}")


def _cost(case: _Case) -> Iterator[Finding]:
    x, y = case.sounds[0], case.noisy[0]
    seconds = _timed(lambda: case.value(x, y)) / case.seconds
    yield _finding("cost", seconds, f"{1000 * seconds:.3g} ms a second of sound")
    if why := _no_gradient(case):
        yield _missing("cost.gradient", why)
        return
    from ..loss import Loss
    from .training import one_thread, with_gradient

    try:
        loss = Loss(case.spec, case.rate, "none", silent="keep")
        with one_thread():
            seconds = _timed(lambda: with_gradient(loss, y, x)) / case.seconds
    except Exception as wrong:  # noqa: BLE001  whatever the twin of a metric does
        yield _missing("cost.gradient", _failure(wrong))
    else:
        yield _finding("cost.gradient", seconds, f"{1000 * seconds:.3g} ms a second of sound")


def _range(case: _Case) -> Iterator[Finding]:
    low, high = case.card.range
    given = [v for v in case.values if v == v]
    out = sum(not low <= v <= high for v in given)
    said = f"{min(given):.4g} to {max(given):.4g} in {len(given)} comparisons"
    claim = f"range {low:g} to {high:g}" if case.claims else ""
    yield _finding("range", out / len(given), said, claim, not out)


_TOPICS: Mapping[str, Callable[[_Case], Iterator[Finding]]] = {
    "identity": _identity,
    "minimality": _minimality,
    "symmetry": _symmetry,
    "triangle": _triangle,
    "monotony": _monotony,
    "insensitive": _insensitive,
    "invariance": _invariance,
    "added_to_missing": _added,
    "masking": _masking,
    "pitch.value": _pitch_value,
    "pitch.gradient": _pitch_gradient,
    "gradient": _gradient,
    "recovery": _recovery,
    "cost": _cost,
    "range": _range,  # last: of everything that was tried
}
_OF_TWO = ("minimality", "symmetry", "triangle", "added_to_missing", "masking")  # not asked of who judges one sound


def _finding(name: str, value: float, says: str, claim: str = "", agrees: bool = True) -> Finding:
    if value != value:
        return _missing(name, "the metric has no value of these sounds, or is zero where it is to be compared", claim)
    return Finding(name, float(value), says, claim, bool(agrees) if claim else None)


def _missing(name: str, reason: str, claim: str = "", agrees: bool | None = None) -> Finding:
    return Finding(name, nan, "", claim, agrees, reason)


def _failure(wrong: Exception) -> str:
    return f"its loss fails: {type(wrong).__name__}: {wrong}"


def _no_gradient(case: _Case) -> str | None:
    """Why there is nothing to be said of gradients; None where there is."""
    from importlib.util import find_spec

    if case.card.gradient == "none":
        return "the metric has no gradient"
    if find_spec("torch") is None:
        return "torch is not installed: pip install torch"
    return None


def _kendall(ladder: Sequence[float], tie: float) -> float:
    """Share of pairs in the right order minus that of those in the wrong one; what is as near as a tie is neither."""
    pairs = list(combinations(ladder, 2))
    if not all(isfinite(d) for d in ladder):
        return nan
    return sum((b - a > tie) - (a - b > tie) for a, b in pairs) / len(pairs)


def _mean(values: Sequence[float]) -> float:
    there = [v for v in values if isfinite(v)]
    return sum(there) / len(there) if there else nan


def _geometric(values: Sequence[float]) -> float:
    there = [v for v in values if isfinite(v) and v > 0]
    return exp(sum(map(log, there)) / len(there)) if there else nan


def _timed(work: Callable[[], object]) -> float:
    """CPU seconds, the least of three times as many runs as a clock of coarse ticks needs."""
    work()
    each = []
    for _ in range(3):
        begun, runs, spent = process_time(), 0, 0.0
        while spent < TICKS:
            work()
            runs, spent = runs + 1, process_time() - begun
        each.append(spent / runs)
    return min(each)


def _told(finding: Finding) -> str:
    """What the card says, and whether it is right."""
    if not finding.claim:
        return ""
    agreed = {True: "agreed", False: "CONTRADICTED", None: "not to be told"}[finding.agrees]
    return f" (card: {finding.claim}: {agreed})"
