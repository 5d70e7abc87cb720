"""Where weights are looked for, and what is said where they are not."""

import hashlib
import sys

import pytest

from audiosim.errors import ExitCode, MissingModel, UsageError
from audiosim.trained import weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder, without a package that would have the files too."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "_roots", lambda _: [])
    weights.folder().mkdir(parents=True)
    return weights.folder()


def test_the_table_says_of_every_model_what_is_needed_to_get_it():
    for name, model in weights.models().items():
        assert model.judges, name
        assert model.licence, name
        assert model.rate > 0, name
        assert bool(model.package) != bool(model.repository), name
        assert model.package.count("==") == bool(model.package), name
        assert len(model.repository.rpartition("@")[2]) == 40 * bool(model.repository), name
        for file in model.files:
            assert file.name.partition(".")[0] == name
            assert len(file.sha256) == 64
            assert file.bytes > 0


def test_a_missing_model_says_how_to_get_it(folder):
    with pytest.raises(MissingModel) as problem:
        weights.find("dnsmos-p835")
    assert str(problem.value) == (
        "the model dnsmos-p835 is not here: pip install 'audiosim[dnsmos]', or audiosim models get dnsmos-p835, "
        "or name its file with model=PATH"
    )
    assert problem.value.exit_code == ExitCode.USAGE
    with pytest.raises(MissingModel, match="is not here: audiosim models get dpam, or"):
        weights.find("dpam")


def test_an_unknown_model_is_told_its_neighbour():
    with pytest.raises(UsageError, match="did you mean 'dpam'"):
        weights.find("dpan")


def test_the_users_folder_comes_before_a_package(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    package = tmp_path / "site" / "speechmos" / "plcmos_models"
    package.mkdir(parents=True)
    (package / "plcmos_v2.onnx").write_bytes(b"of the package")
    (package.parent / "__init__.py").write_text("raise AssertionError('a package with weights is not imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "speechmos", raising=False)
    assert weights.located("plcmos") == ((package / "plcmos_v2.onnx",), "package")
    (folder / "plcmos.onnx").write_bytes(b"of the user")
    assert weights.located("plcmos") == ((folder / "plcmos.onnx",), "user")
    assert weights.located("plcmos", package / "plcmos_v2.onnx") == ((package / "plcmos_v2.onnx",), "path")


def test_a_path_is_taken_at_its_word(folder, tmp_path):
    with pytest.raises(MissingModel, match=r"there is no file .*/none\.onnx; model=PATH names the file of a model"):
        weights.find("plcmos", tmp_path / "none.onnx")
    for end in ("index", "data-00000-of-00001"):
        with pytest.raises(MissingModel, match=f"my.{end}"):
            weights.find("dpam", tmp_path / "my.index")
        (tmp_path / f"my.{end}").write_bytes(b"")
    for given in ("my", "my.index"):
        assert weights.find("dpam", str(tmp_path / given)) == tmp_path / "my.index"


def test_the_known_file_is_known(folder, monkeypatch):
    data = b"numbers"
    file = weights.File(name="x.onnx", member="x", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    model = weights.Model(name="x", judges="x", rate=1, licence="x", files=(file,), repository="x@x")
    monkeypatch.setattr(weights, "models", lambda: {"x": model})
    assert weights.located("x") is None
    (folder / "x.onnx").write_bytes(data)
    assert weights.is_known("x", weights.located("x"))
    (folder / "x.onnx").write_bytes(b"numberz")
    assert not weights.is_known("x", weights.located("x"))
    (folder / "x.onnx").write_bytes(b"")
    assert not weights.is_known("x", weights.located("x"))


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(MissingModel, match=r"is a folder; model=PATH names the file of a model$"):
        weights.find("cdpam", tmp_path)
