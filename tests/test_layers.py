"""Who may import whom, proved from the syntax tree of every source file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import audiosim

PACKAGE = Path(audiosim.__file__).parent
FILES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))

# A layer may import itself where that is said, and what stands before it.
ORDER = (
    {"errors", "card", "lazy", "presets"},
    {"published"},
    {"options"},
    {"signal", "result", "config", "remote", "scratch"},
    {"engine"},
    {"channels"},
    {"dsp"},
    {"hearing"},
    {"diagnosis"},
    {"trained"},
    {"answer"},
    {"distance"},
    {"models"},
    {"domain", "watch"},
    {"metric"},
    {"outside"},
    {"metrics"},
    {"formats"},
    {"audio", "match", "loss", "nn"},
    {"comparison"},
    {"judge"},
    {"results"},
    {"batched"},
    {"torchmetrics"},
    {"batch"},
    {"sets", "calibration"},
    {"collection"},
    {"report"},
    {"bench"},
    {"testing"},
    {"pytest_plugin"},
    {"cli"},
    {"__main__", "build_cache"},
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
STAGES = ("engine/", "dsp/", "hearing/", "models/")  # where kernels and tensors are worked with
HOME = {  # third-party packages that only these may import
    "soundfile": ("audio.py",),
    "fsspec": ("remote.py",),
    "distributed": ("batch/dask_pool.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "soxr": ("dsp/",),
    "jinja2": ("report/",),
    "matplotlib": ("report/",),
    "torch": ("loss.py", "nn.py", "torchmetrics.py", "bench/", "testing/training.py", "metrics/", "trained/", *STAGES),
    "numba": STAGES,
    "onnxruntime": ("trained/",),
}
PEERS = {"auraloss", "torchmetrics", "fast_bss_eval", "librosa", "pytest"}
ADAPTERS = {("pytest_plugin.py", "pytest"), ("torchmetrics.py", "torchmetrics")}  # that make audiosim a part of them


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@cache
def imports(file: str) -> tuple[tuple[str, bool], ...]:
    """(dotted name from the package's root, or the third-party name; at module level?) of every import."""
    return tuple(_imports(file))


def _imports(file: str) -> Iterator[tuple[str, bool]]:
    module = tree(file)
    inside = {id(n) for f in ast.walk(module) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    folder = ["audiosim", *Path(file).parent.parts]
    for node in ast.walk(module):
        top = id(node) not in inside
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            stem = [*base, *(node.module or "").split(".")] if node.module else base
            if stem == ["audiosim"] or (node.level and not node.module):
                yield from ((".".join([*stem, alias.name]), top) for alias in node.names)
            else:
                yield ".".join(stem), top


def layer(file: str) -> str:
    return Path(file).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES)
def test_imports_go_downwards(file):
    if file == "__init__.py":
        return
    for name, _ in imports(file):
        parts = name.split(".")
        if parts[0] != "audiosim" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        assert parts[1] in RANK, f"{file} imports {name}, which has no layer: add it to ORDER"
        same = parts[1] == layer(file)
        assert same or RANK[parts[1]] < RANK[layer(file)], f"{file} imports {name}, which stands above or beside it"


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("metrics/") and f != "metrics/__init__.py"])
def test_metrics_never_import_metrics(file):
    assert not [name for name, _ in imports(file) if name.startswith("audiosim.metrics")]


# The metrics that use the stages of a family, where it is not just the one of the family's name.
USERS = {  # metrics, and what stands beside in models/
    "cepstra": {"mfcc", "plp"},
    "colour": {"distortion", "long_term_spectrum", "space", "tone"},
    "energy_ratio": {"esr", "sd_sdr", "sdr", "seg_snr", "si_sdr", "snr", "usdr"},
    "haspi": {"haspi", "hasqi"},
    "loizou": {"cepstrum_distance", "composite", "csii", "fwseg_snr", "llr", "ncm", "seg_snr", "wss"},
    "masking": {"masked_loss", "par"},
    "mel_cepstra": {"mcd", "models/cepstra"},
    "modulations": {"fluctuation", "onset_pattern"},
    "pemo": {"pemo_q"},
    "peaq": {"modulation_difference", "nmr", "noise_loudness", "peaq", "peaq_advanced", "two_f"},
    "pesq": {"composite", "pesq", "pmsqe"},
    "ratings": {"dnsmos", "nisqa", "plcmos"},
    "pitch": {"f0"},
    "rhythm": {"beat", "onset", "tempo"},
    "siib": {"siib_gauss"},
    "stft_loss": {"mel_stft", "mr_stft", "spectral_convergence", "stft"},
    "visqol": {"visqol", "visqol_speech"},
    "timbre": {"timbre_ala", "timbre_emd", "timbre_js", "timbre_kl"},
    "unaligned": {
        *("distortion", "fluctuation", "long_term_spectrum", "loudness_profile", "onset_pattern", "space", "tone"),
        *("timbre_ala", "timbre_emd", "timbre_js", "timbre_kl"),
        *("models/colour", "models/modulations", "models/timbre"),
    },
    "zwicker": {"loudness"},
}


@pytest.mark.parametrize("file", FILES)
def test_models_belong_to_their_metrics(file):
    """Stages in models/ are private to a family: who needs them elsewhere moves them to hearing/ or dsp/."""
    named = {name.split(".", 3)[2] for name, _ in imports(file) if name.startswith("audiosim.models.")}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "models":
            named.add(node.attr)
    for family in named:
        own = file.startswith((f"models/{family}/", f"models/{family}.py")) or file == "models/__init__.py"
        users = USERS.get(family, {family})
        allowed = {f"{name}.py" if "/" in name else f"metrics/{name}.py" for name in users}
        assert own or file in allowed, f"{file} uses models.{family}"


@pytest.mark.parametrize("file", FILES)
def test_packages_stay_at_home(file):
    for name, top in imports(file):
        root = name.split(".")[0]
        assert root not in PEERS or (file, root) in ADAPTERS, f"{file} imports {root}"
        if root in HOME:
            assert file.startswith(HOME[root]), f"{file} imports {root}, which belongs to {HOME[root]}"
        if root == "torch" and file.startswith(("metrics/", "trained/", *STAGES)):
            assert not top or file.endswith("tensors.py"), f"{file} imports torch outside a function"
        if name.startswith("scipy.signal"):
            assert not top, f"{file} imports scipy.signal outside a function, which costs every run 0.6 s"


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith(("cli/", "build_cache"))])
def test_only_the_command_line_prints(file):
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.stdout.write", "sys.stderr.write"), f"{file}:{node.lineno} prints"


@pytest.mark.parametrize("file", FILES)
def test_kernels_live_in_stages(file):
    if file.startswith(STAGES):
        return
    compiled = {"audiosim.engine.kernel", "numba"} & {name for name, _ in imports(file)}
    assert not compiled, f"{file} compiles kernels"


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith(STAGES)])
def test_kernels_name_the_kernels_that_they_call(file):
    """What is reached through a lazy package is no import, so that a change in it would leave old machine code."""
    for function in ast.walk(tree(file)):
        if isinstance(function, ast.FunctionDef) and any("kernel" in ast.unparse(d) for d in function.decorator_list):
            reached = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
            assert not reached & {"engine", "dsp", "hearing", "models"}, f"{file}: {function.name}"


@pytest.mark.parametrize("package", sorted(p.parent for p in PACKAGE.rglob("__init__.py") if "lazy" in p.read_text()))
def test_lazy_packages_tell_types_of_all_their_modules(package):
    modules = {p.stem for p in package.glob("[!_]*.py")} | {p.parent.name for p in package.glob("[!_]*/__init__.py")}
    source = tree((package / "__init__.py").relative_to(PACKAGE).as_posix())
    known = [n for n in ast.walk(source) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    told = {a.asname for n in ast.walk(known[0]) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert told == modules


@pytest.mark.parametrize("file", [f for f in FILES if Path(f).name in ("__init__.py", "app.py", "config.py")])
def test_what_help_passes_through_is_light(file):
    heavy = {"numpy", "scipy", "numba", "torch", "soundfile", "soxr", "rich"}
    if file.startswith(("metrics/", "testing/", *STAGES)):
        heavy -= {"numpy"}
    assert not heavy & {name.split(".")[0] for name, top in imports(file) if top}


def test_no_vague_module_names():
    vague = {"utils", "util", "helpers", "core", "base", "manager", "common", "misc"}
    assert not [f for f in FILES if vague & set(Path(f).with_suffix("").parts)]


def test_the_public_names_are_what_they_say_whatever_was_imported_before() -> None:
    """A module named like a public function would hide it."""
    code = "import audiosim.cli.compare, audiosim; print(*(callable(getattr(audiosim, n)) for n in audiosim.__all__))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == [str(name != "metrics") for name in audiosim.__all__]
