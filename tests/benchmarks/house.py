"""How the house is built: `python -m tests.benchmarks.house [CHECKOUT]` prints figures of this checkout, or of another.

Files and lines of each folder; lines of the metrics by part (card, imports, options or signature, docstring, formula);
functions over 60 lines and over 10 arguments; modules that mypy sees as Any; CPU seconds of the tests of one metric
(with --cpu), cold and warm. No test depends on it.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LONG, MANY = 60, 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="?", default=Path(__file__).parents[2])
    parser.add_argument("--cpu", metavar="NAME", help="time the contract tests of this metric too")
    given = parser.parse_args()
    package = given.checkout.resolve() / "audiosim"
    for title, value in figures(package):
        print(f"{title:<58} {value}")
    if given.cpu:
        cold, warm = cpu_seconds(given.checkout, given.cpu)
        print(f"{f'CPU seconds of the contract tests of {given.cpu}, cold':<58} {cold:.1f}")
        print(f"{f'CPU seconds of the contract tests of {given.cpu}, warm':<58} {warm:.1f}")
    return 0


def figures(package: Path) -> Iterator[tuple[str, object]]:
    """(what is counted, the figure)."""
    trees = {p: ast.parse(p.read_text(encoding="utf-8")) for p in sorted(package.rglob("*.py"))}
    rooms = Counter(p.parent.relative_to(package).as_posix() for p in trees)
    for room, files in sorted(rooms.items(), key=lambda item: -item[1]):
        lines = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in trees if p.parent == package / room)
        yield f"files, lines in {'audiosim' if room == '.' else room}", f"{files}, {lines}"
    metrics = [p for p in trees if p.parent.name == "metrics" and p.name != "__init__.py"]
    parts: Counter[str] = Counter()
    for p in metrics:
        parts.update(lines_by_part(p.read_text(encoding="utf-8"), trees[p]))
    whole = sum(parts.values())
    yield "metrics, lines", f"{len(metrics)}, {whole}"
    for part, count in parts.most_common():
        yield f"  of these {part}", f"{count} ({count / whole:.0%})"
    functions = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    yield f"functions over {LONG} lines", sum((f.end_lineno or 0) - f.lineno >= LONG for f in functions)
    yield f"functions over {MANY} arguments", sum(arguments(f) > MANY for f in functions)
    signatures = [
        f for p in metrics for f in ast.walk(trees[p]) if isinstance(f, ast.FunctionDef) and f.name == "compute"
    ]
    yield "  of these the compute of a metric", sum(arguments(f) > MANY for f in signatures)
    yield "modules that mypy sees as Any", sum(is_hidden(p, trees) for p in trees if p.name != "__init__.py")


def arguments(function: ast.FunctionDef) -> int:
    a = function.args
    return len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs)


def lines_by_part(source: str, tree: ast.Module) -> Counter[str]:
    """Lines of a metric's file that are not empty, by what they are."""
    parts = ["formula"] * len(source.splitlines())

    def mark(node: ast.AST, part: str) -> None:
        parts[node.lineno - 1 : node.end_lineno] = [part] * (node.end_lineno - node.lineno + 1)  # type: ignore[attr-defined]

    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            mark(node, "imports")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "CARD":
            mark(node, "card")
        elif isinstance(node, ast.ClassDef) and node.name.endswith("Options"):
            mark(node, "options and signatures")
        elif isinstance(node, ast.FunctionDef):
            first = node.body[0]
            for line in range(node.lineno, first.lineno):
                parts[line - 1] = "options and signatures"
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            mark(node, "docstrings")
    return Counter(part for part, line in zip(parts, source.splitlines(), strict=True) if line.strip())


def is_hidden(path: Path, trees: dict[Path, ast.Module]) -> bool:
    """Whether a module is reached through a package that hands it out lazily without telling its type."""
    init = path.parent / "__init__.py"
    if init not in trees or path.parent.name == "audiosim":  # which hands out names
        return False
    if "__getattr__" not in {getattr(n, "name", None) or ast.unparse(n).split(" ")[0] for n in trees[init].body}:
        return False
    told = [n for n in ast.walk(trees[init]) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    names = {a.name for n in told for i in ast.walk(n) if isinstance(i, ast.ImportFrom) for a in i.names}
    named = {i.module for n in told for i in ast.walk(n) if isinstance(i, ast.ImportFrom)}
    return path.stem not in names | named


def cpu_seconds(checkout: Path, name: str) -> list[float]:
    """Of pytest on the contract of one metric, with an empty kernel cache and with a full one."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "pytest", "-q", "tests/metrics/test_contract.py", "-k", name]
            environment = {**os.environ, "XDG_CACHE_HOME": cache}
            subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return found


if __name__ == "__main__":
    sys.exit(main())
