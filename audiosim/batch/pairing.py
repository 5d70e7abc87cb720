"""Which recording is compared with which: two folders paired by name, or a manifest. Nothing is decoded here."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from .. import remote
from ..audio import data_name, display_name
from ..errors import InputError, NothingToCompare, UsageError
from ..judge.rows import composed

# What is taken for a recording when nobody says --include. audio.load goes by content, not by name.
SUFFIXES = frozenset(
    "." + name
    for name in (
        *("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64"),
        *("aac", "ac3", "amr", "m4a", "mka", "mp4", "webm", "wma", "wv"),
        *("bwf", "mp2", "spx", "m4b", "ape", "tta", "dsf"),
    )
)
MOST_SUFFIXES = 6  # that a line on what was passed over names
ALIASES = {"ref": "reference", "score": "rating", "set": "group"}
KNOWN = ("reference", "test", "id", "group", "system", "metrics", "require", "start", "duration", "mixture")
JUDGED = ("rating", "higher_is_better")
RULES = "relpath, stem, order or regex:PATTERN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two recordings to compare, and what is known of them.

    reference, test: paths or URLs; reference is "" where metrics hear the test alone.
    id: what outputs call the pair; one system has an id once.
    group: what belongs together in a summary; system: what made the test, ranked against others.
    metrics: specs instead of those of the batch; require: gates beside those of the batch.
    start, duration: s, the piece of both that is compared; None: from the beginning, to the end.
    others: (reference, test) of the other sources of the same mixture, for metrics of separation.
    rating: what listeners said, better when higher unless higher_is_better is False.
    columns: what else the manifest says of it, carried through.
    """

    reference: str
    test: str
    id: str
    group: str | None = None
    system: str | None = None
    metrics: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    start: float | None = None
    duration: float | None = None
    others: tuple[tuple[str, str], ...] = ()
    rating: float | None = None
    higher_is_better: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pairing:
    """pairs, in a stable order, and a line on each recording that has no partner. notes: what else to say."""

    pairs: list[Pair]
    unpaired: list[str]
    notes: list[str] = field(default_factory=list)


def folders(
    reference: str,
    tests: Sequence[str],
    rule: str = "relpath",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stems: bool = False,
) -> Pairing:
    """The recordings below one folder, each with those below the others that belong to it.

    rule: "relpath" (the same path below the folder; the suffix may differ), "stem" (the same file name without suffix,
        in any folder), "order" (the n-th with the n-th), or "regex:PATTERN" (the same groups, or the same match).
    include, exclude: patterns such as "*.wav" for the path below the folder, or for the file's name.
    stems: the recordings in one folder are the sources of a mixture, and their tests what was separated.
    Names that differ only in their Unicode form are paired too, with a note, where the others leave both without a
    partner.
    Several folders of tests are systems, called as the folders. Raises InputError for what is no folder or pairs in two
    ways, UsageError for a rule that does not exist, NothingToCompare where no recording has a partner.
    """
    key = _key(rule)
    wanted = _wanted(include, exclude)
    passed: Counter[str] = Counter()
    over = None if include else passed
    refs = _listed(reference, wanted, over)
    systems: list[str | None] = [None] if len(tests) == 1 else list(names_of(tests))
    pairs: list[Pair] = []
    unpaired: list[str] = []
    alike: list[str] = []
    for folder, system in zip(tests, systems, strict=True):
        found = _listed(folder, wanted, over)
        if key is None:
            if len(refs) != len(found):
                raise InputError(
                    f"--pair order: {display_name(reference)} has {len(refs)} recordings, {display_name(folder)} has "
                    f"{len(found)}; the n-th is paired with the n-th, so both need as many recordings"
                )
            together = list(zip(refs, found, strict=True))
        else:
            together, lonely, formed = _joined(list(refs), list(found), key, _key(composed(rule)), reference, folder)
            unpaired += lonely
            alike += formed
        pairs += [  # systems differ in form, .opus and .mp3, and are ranked over the same items
            Pair(reference=refs[a], test=found[b], id=data_name(a if system else b), system=system) for a, b in together
        ]
    if not pairs:
        raise NothingToCompare(
            f"no recording below {display_name(reference)} has a partner below {display_name(tests[0])}; "
            f"see --pair ({RULES}), --include and --exclude{'; ' + _on_passed(passed)[0] if passed else ''}"
        )
    if stems:
        pairs = _beside([(str(PurePosixPath(pair.reference).parent), pair) for pair in pairs])
    return Pairing(pairs, unpaired, [*_on_forms("paired", alike), *_on_passed(passed)])


def alone(tests: Sequence[str], include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Pairing:
    """The recordings below each folder, without references, for metrics that judge the test alone. Arguments and errors
    as in `folders`."""
    wanted = _wanted(include, exclude)
    passed: Counter[str] = Counter()
    systems: list[str | None] = [None] if len(tests) == 1 else list(names_of(tests))
    pairs = [
        Pair(reference="", test=path, id=data_name(name), system=system)
        for folder, system in zip(tests, systems, strict=True)
        for name, path in _listed(folder, wanted, None if include else passed).items()
    ]
    if not pairs:
        over = f"; {_on_passed(passed)[0]}" if passed else ""
        raise NothingToCompare(f"no recording below {display_name(tests[0])}; see --include and --exclude{over}")
    return Pairing(pairs, [], _on_passed(passed))


def manifest(path: str, source: TextIO | None = None) -> Pairing:
    """The pairs that a table names: csv, tsv or jsonl, by the suffix or, from a pipe, by how it begins.

    path: the file, or "-" for source. Columns: reference (or ref), test; optional: id, group (or set), system, metrics
    (specs, separated by spaces), require (gates, separated by semicolons), start, duration (s), mixture (rows that name
    the same are its sources, of one system), rating (or score), higher_is_better; all others are carried through.
    Relative paths start at the manifest's folder. Without an id a pair is called by its test and, where a system has
    that several times, also by its reference, group and start.
    Raises InputError, with the line, for what cannot be read or understood.
    """
    name = display_name(path)
    try:
        text = source.read() if source is not None else _text(path)
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not UTF-8 text; a manifest is csv, tsv or jsonl") from None
    except OSError as broken:
        raise InputError(f"{name}: cannot be read: {broken.strerror}") from None
    folder = "" if path == "-" else path.rpartition("/")[0] if remote.is_url(path) else str(Path(path).parent)
    table = list(_table(text, name))
    read = [(line, *_pair(row, folder, f"{name}, line {line}")) for line, row in table]
    found = [_on_disk(pair) for _, pair, _ in read]
    alike = list(dict.fromkeys(path for _, paths in found for path in paths))
    read = [(line, pair, names) for (line, _, names), (pair, _) in zip(read, found, strict=True)]
    pairs: dict[tuple[str, str | None], Pair] = {}
    lines: dict[tuple[str, str | None], int] = {}
    repeated: list[str] = []
    for (line, pair, _), own in zip(read, _ids([(pair, names) for _, pair, names in read]), strict=True):
        same = (own, pair.system)
        named = replace(pair, id=own)
        if same in pairs:
            if pairs[same] != named:
                raise InputError(
                    f"{name}, line {line}: line {lines[same]} has the id {own!r} too; "
                    "give each pair of a system an id of its own, in a column id"
                )
            repeated.append(f"{name}, line {line}: repeats line {lines[same]}, and is compared once")
            continue
        pairs[same], lines[same] = named, line
    if not pairs:
        raise NothingToCompare(f"{name}: names no pair")
    mixture = {line: _mixture(row) for line, row in table}
    together = _beside([(mixture[lines[same]], pair) for same, pair in pairs.items()])
    return Pairing(together, repeated, _on_forms("found", alike))


def _mixture(row: Mapping[str, Any]) -> str:
    """Of which mixture the row is a source; empty: of none."""
    return next((str(value or "").strip() for column, value in row.items() if column.strip().lower() == "mixture"), "")


def _beside(pairs: Sequence[tuple[str, Pair]]) -> list[Pair]:
    """The pairs with the others of their mixture: those of the same name, system and section."""
    together: dict[tuple[Any, ...], list[Pair]] = {}
    for mixture, pair in pairs:
        together.setdefault((mixture, pair.system, pair.start, pair.duration), []).append(pair)
    found = []
    for mixture, pair in pairs:
        same = together[mixture, pair.system, pair.start, pair.duration] if mixture else []
        found.append(replace(pair, others=tuple((p.reference, p.test) for p in same if p is not pair)))
    return found


def recordings(
    folder: str, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """The recordings below a folder, {path below it: path}, sorted, and notes; include, exclude: as in `folders`.

    InputError for what is no folder, NothingToCompare where there is none.
    """
    passed: Counter[str] = Counter()
    found = _listed(folder, _wanted(include, exclude), None if include else passed)
    notes = _on_passed(passed)
    if not found:
        raise NothingToCompare(f"there is no recording below {display_name(folder)}{'; ' + notes[0] if notes else ''}")
    return found, notes


def table(path: str) -> list[tuple[int, dict[str, Any]]]:
    """(line, {column: cell}) of a table with a header: csv, tsv or jsonl. InputError for what cannot be read."""
    name = display_name(path)
    try:
        return list(_table(_text(path), name))
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not UTF-8 text; a table is csv, tsv or jsonl") from None
    except OSError as broken:
        raise InputError(f"{name}: cannot be read: {broken.strerror}") from None


def below(table: str, path: str) -> str:
    """A path that a table names: a relative one starts at the table's folder."""
    folder = table.rpartition("/")[0] if remote.is_url(table) else str(Path(table).parent)
    return _existing(_from(folder, path))


def shard(pairs: Iterable[Pair], index: int, count: int) -> list[Pair]:
    """Part `index` of `count` (from 1), by what the pair is called: the same on every machine and in any order."""
    import hashlib

    def part(pair: Pair) -> int:
        named = json.dumps([pair.id, pair.system, pair.start, pair.duration]).encode()
        return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest()) % count

    return [pair for pair in pairs if part(pair) == index - 1]


def _key(rule: str) -> Callable[[str], str] | None:
    """From a path below the folder to what must be the same; None: the order."""
    if rule == "relpath":
        return lambda path: path.removesuffix(PurePosixPath(path).suffix)
    if rule == "stem":
        return lambda path: PurePosixPath(path).stem
    if rule == "order":
        return None
    if rule.startswith("regex:"):
        try:
            pattern = re.compile(rule.removeprefix("regex:"))
        except re.error as wrong:
            raise UsageError(f"--pair {rule}: is not a regular expression ({wrong})") from None

        def matched(path: str) -> str:
            found = pattern.search(path)
            return "\0".join(g or "" for g in found.groups() or (found[0],)) if found else f"\0{path}"

        return matched
    raise UsageError(f"--pair is {RULES}, not {rule!r}")


def _wanted(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    include, exclude = ([composed(p) for p in patterns] for patterns in (include, exclude))

    def matches(path: str, patterns: Sequence[str]) -> bool:
        path = composed(path)
        return any(fnmatchcase(path, p) or fnmatchcase(PurePosixPath(path).name, p) for p in patterns)

    def wanted(path: str) -> bool:
        taken = matches(path, include) if include else PurePosixPath(path).suffix.lower() in SUFFIXES
        return taken and not matches(path, exclude)

    return wanted


def names_of(folders: Sequence[str]) -> list[str]:
    """A name for each folder: its own, with as many of its parents as tell it from the others."""
    parts = [PurePosixPath(os.path.normpath(f) if not remote.is_url(f) else f.rstrip("/")).parts for f in folders]
    if len({*parts}) < len(parts):
        raise UsageError("a folder of tests is given twice")
    depth = 1
    while len({p[-depth:] for p in parts}) < len(parts):
        depth += 1
    return [data_name("/".join(p[-depth:]) or ".") for p in parts]  # the working directory has no name


def _on_passed(passed: Counter[str]) -> list[str]:
    """A line on the files that were passed over because of their suffixes."""
    if not passed:
        return []
    kinds = [f"{n} {display_name(suffix) if suffix else 'without a suffix'}" for suffix, n in passed.most_common()]
    more = f" and {len(kinds) - MOST_SUFFIXES} other suffixes" if len(kinds) > MOST_SUFFIXES else ""
    return [f"passed over by their suffix: {', '.join(kinds[:MOST_SUFFIXES])}{more}; --include '*.SUFFIX' takes them"]


def _listed(folder: str, wanted: Callable[[str], bool], passed: Counter[str] | None = None) -> dict[str, str]:
    """{path below the folder, with / between its parts: path}, sorted, whatever the Unicode form of a name.

    passed: gets the suffixes of files that are not taken because of them.
    """

    def taken(path: str) -> bool:
        suffix = PurePosixPath(path).suffix.lower()
        if passed is not None and suffix not in SUFFIXES:
            passed[suffix] += 1
        return wanted(path)

    if remote.is_url(folder):
        below = {path: url for path, url in remote.walk(folder).items() if taken(path)}
        return {path: below[path] for path in sorted(below, key=_place)}
    if not Path(folder).is_dir():
        what = "is a file; batch takes folders, compare takes files" if Path(folder).exists() else "no such folder"
        raise InputError(f"{display_name(folder)}: {what}")
    found = sorted((path for path in _below_folder(folder, "", set()) if taken(path)), key=_place)
    return {path: os.path.join(folder, path) for path in found}  # noqa: PTH118


def _below_folder(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Files below, hidden ones left out. A link to a folder is followed once, so that loops end."""
    try:
        state = os.stat(folder)  # noqa: PTH116
        if (state.st_dev, state.st_ino) in seen:
            return
        seen.add((state.st_dev, state.st_ino))
        with os.scandir(folder) as entries:
            below = sorted(entries, key=lambda e: e.name)
    except OSError as broken:
        raise InputError(f"{display_name(folder)}: cannot be listed: {broken.strerror}") from None
    for entry in below:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below_folder(entry.path, f"{prefix}{entry.name}/", seen)
        else:
            yield prefix + entry.name


def _place(path: str) -> tuple[str, str]:
    return composed(path), path


def _joined(
    refs: Sequence[str],
    tests: Sequence[str],
    key: Callable[[str], str],
    form: Callable[[str], str] | None,
    reference: str,
    folder: str,
) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """References and tests of the same key, in the order of the tests; a line on each without a partner; and the tests
    whose names differ from the reference's in their Unicode form only.

    form: the key of a name in the one Unicode form.
    """

    def plain(path: str) -> str:
        return composed(form(composed(path))) if form is not None else path

    together, left = _matched(refs, tests, key, reference, folder)
    used = {ref for ref, _ in together}
    more, left = _matched([r for r in refs if r not in used], left, plain, reference, folder)
    alike = [_shown(folder, test) for _, test in more]
    places = {test: place for place, test in enumerate(tests)}
    together = sorted(together + more, key=lambda pair: places[pair[1]])
    partner = {plain(ref): (ref, test) for ref, test in together}
    lonely = []
    for test in left:
        line = f"{_shown(folder, test)} has no reference below {display_name(reference)}"
        if plain(test) in partner:
            ref, other = (_told(path) for path in partner[plain(test)])
            line += f": {ref} differs in its Unicode form only, but belongs to {other}"
        lonely.append(line)
    used |= {ref for ref, _ in more}
    lonely += [f"{_shown(reference, ref)} has no test below {display_name(folder)}" for ref in refs if ref not in used]
    return together, lonely, alike


def _told(name: str) -> str:
    """A name in which the characters beyond ASCII are escaped, so that forms that look alike can be told apart."""
    return name.encode("ascii", "backslashreplace").decode()


def _on_forms(done: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    several = f"{len(names)} recordings were" if len(names) > 1 else "1 recording was"
    return [f"{several} {done} by a name that differs in its Unicode form only (NFC, NFD), such as {names[0]}"]


def _matched(
    refs: Sequence[str], tests: Sequence[str], key: Callable[[str], str], reference: str, folder: str
) -> tuple[list[tuple[str, str]], list[str]]:
    """References and tests of the same key, in the order of the tests, and the tests without a reference."""
    by_key: dict[str, list[str]] = {}
    for ref in refs:
        by_key.setdefault(key(ref), []).append(ref)
    together: list[tuple[str, str]] = []
    left: list[str] = []
    taken: dict[str, str] = {}
    for test in tests:
        candidates = by_key.get(key(test), [])
        same = [c for c in candidates if c == test]  # a.wav and a.flac side by side: each with its own
        if len(same or candidates) > 1:
            raise InputError(
                f"{_shown(folder, test)} has two references, {display_name(candidates[0])} and "
                f"{display_name(candidates[1])}; leave one out with --exclude, or pair by another rule"
            )
        if not candidates:
            left.append(test)
            continue
        (ref,) = same or candidates
        if ref in taken and not same:
            raise InputError(
                f"{_shown(reference, ref)} has two tests below {display_name(folder)}, {display_name(taken[ref])} and "
                f"{display_name(test)}; leave one out with --exclude, or give each system a folder of its own"
            )
        taken[ref] = test
        together.append((ref, test))
    return together, left


def _shown(folder: str, path: str) -> str:
    return display_name(f"{folder.rstrip('/')}/{path}")


def _text(path: str) -> str:
    if remote.is_url(path):
        return str(remote.read(path), "utf-8-sig")
    return Path(path).read_text(encoding="utf-8-sig")


def _table(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row by column) of a table with a header, or of an object a line."""
    if text.lstrip()[:1] == "{":
        for line, item in enumerate(text.splitlines(), 1):
            if not item.strip():
                continue
            try:
                row = json.loads(item)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise InputError(f"{name}, line {line}: is not a JSON object")
            yield line, row
        return
    header = text.partition("\n")[0]
    delimiter = max(",\t;", key=header.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        columns = [c.strip() for c in next(reader, [])]
        if len(set(columns)) < len(columns):
            raise InputError(f"{name}: two columns have the same name")
        for cells in reader:
            if not any(c.strip() for c in cells):
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{name}, line {reader.line_num}: has {len(cells)} cells, the header has {len(columns)}; "
                    "a cell that holds the separator needs quotes"
                )
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as wrong:
        raise InputError(f"{name}, line {reader.line_num}: {wrong}") from None


def _ids(read: Sequence[tuple[Pair, Sequence[str]]]) -> list[str]:
    """For each pair the first of its names that no other pair of its system has, else its last."""
    bearers: dict[tuple[str, str | None], set[str]] = {}
    for pair, names in read:
        for name in names:
            bearers.setdefault((name, pair.system), set()).add(names[-1])
    return [next((n for n in names if len(bearers[n, p.system]) == 1), names[-1]) for p, names in read]


def _pair(row: Mapping[str, Any], folder: str, where: str) -> tuple[Pair, list[str]]:
    """The pair, and names for it, each more exact than the one before."""
    values: dict[str, Any] = {}
    for column, value in row.items():
        plain = column.strip().lower()
        known = ALIASES.get(plain, plain)
        known = known if known in (*KNOWN, *JUDGED) and known not in row else plain
        values[known if known in (*KNOWN, *JUDGED) else column] = value
    for needed in ("reference", "test"):
        if not str(values.get(needed) or "").strip():
            raise InputError(f"{where}: has no {needed}; the columns are reference, test and others")
    reference, test = (_from(folder, str(values[n]).strip()) for n in ("reference", "test"))
    words = {n: str(values[n]).strip() for n in ("id", "group", "system") if str(values.get(n) or "").strip()}
    written = (str(values.get(n) or "").strip() for n in ("test", "reference", "group", "start"))
    told = [data_name(text) for text in written if text]
    names = [" ".join(told[: n + 1]) for n in range(len(told))]
    pair = Pair(
        reference=reference,
        test=test,
        id=words.get("id") or names[0],
        group=words.get("group"),
        system=words.get("system"),
        metrics=_items(values.get("metrics"), None),
        require=_items(values.get("require"), ";"),
        start=_number(values.get("start"), "start", where, least=0.0),
        duration=_number(values.get("duration"), "duration", where, least=1e-6),
        rating=_number(values.get("rating"), "rating", where),
        higher_is_better=_truth(values.get("higher_is_better"), where),
        columns={k: _word(v) for k, v in values.items() if k not in (*KNOWN, *JUDGED)},
    )
    return pair, [words["id"]] if "id" in words else names


def _from(folder: str, path: str) -> str:
    if remote.is_url(path) or Path(path).is_absolute() or not folder or folder == ".":
        return path
    return f"{folder}/{path}" if remote.is_url(folder) else os.path.join(folder, path)  # noqa: PTH118


def _on_disk(pair: Pair) -> tuple[Pair, list[str]]:
    """The pair with the names that its files have, and those that the table has in another Unicode form."""
    own = {name: _existing(getattr(pair, name)) for name in ("reference", "test")}
    changed: dict[str, Any] = {name: path for name, path in own.items() if path != getattr(pair, name)}
    return (replace(pair, **changed), [display_name(path) for path in changed.values()]) if changed else (pair, [])


def _existing(path: str) -> str:
    """The path, or the one that exists and differs from it in its Unicode form only."""
    if path.isascii() or remote.is_url(path) or os.path.exists(path):  # noqa: PTH110
        return path
    found = Path(path).anchor
    for part in Path(path).parts[1:] if found else Path(path).parts:
        exact = os.path.join(found, part)  # noqa: PTH118
        if os.path.lexists(exact):
            found = exact
            continue
        try:
            alike = [name for name in os.listdir(found or ".") if composed(name) == composed(part)]  # noqa: PTH208
        except OSError:
            return path
        if len(alike) != 1:
            return path
        found = os.path.join(found, alike[0])  # noqa: PTH118
    return found


def _items(value: Any, separator: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else str(value).split(separator)
    return tuple(i for i in (str(item).strip() for item in items) if i)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: Any, column: str, where: str, least: float | None = None) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number) or (least is not None and number < least):
        raise InputError(
            f"{where}: {column} is {value!r}, which is not a {'possible ' if least is not None else ''}number"
        )
    return number


def _truth(value: Any, where: str) -> bool | None:
    word = str(value).strip().lower() if value is not None else ""
    if not word:
        return None
    if word not in ("1", "0", "true", "false", "yes", "no"):
        raise InputError(f"{where}: higher_is_better is 1 or 0, not {value!r}")
    return word in ("1", "true", "yes")
