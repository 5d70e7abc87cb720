"""Models in libsvm's text format: read, scored, and refused with the number of the bad line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiosim.errors import InputError
from audiosim.models.visqol import support_vectors

GOOD = """svm_type nu_svr
kernel_type rbf
gamma 0.5
nr_class 2
total_sv 2
rho -1.25
SV
1 1:0.5 3:-1
-0.25 2:2e-1
"""


def test_value(tmp_path: Path) -> None:
    (file := tmp_path / "model.txt").write_text(GOOD)
    model = support_vectors.load(file, 3)
    x = np.array([0.1, 0.2, 0.3])
    expected = np.exp(-0.5 * (0.4**2 + 0.2**2 + 1.3**2)) - 0.25 * np.exp(-0.5 * (0.1**2 + 0.3**2)) + 1.25
    assert model(x) == pytest.approx(expected, rel=1e-12)
    file.write_text(GOOD.replace("rho -1.25", "rho -2.25"))
    assert support_vectors.load(file, 3)(x) == pytest.approx(expected + 1, rel=1e-12), "a changed file is read again"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nu_svr", "c_svc", "line 1: svm_type is nu_svr or epsilon_svr, not 'c_svc'"),
        ("rbf", "linear", "line 2: kernel_type is rbf, not 'linear'"),
        ("gamma 0.5", "gamma x", "line 3: 'x' is no number"),
        ("gamma 0.5\n", "", "line 6: gamma is missing before the support vectors"),
        ("nr_class 2", "degree 3", "line 4: 'degree 3' is no line of a libsvm regression"),
        ("nr_class 2", "gamma 1", "line 4: gamma is given twice"),
        ("nr_class 2", "nr_class 3", "line 4: nr_class is 2, not '3'"),
        ("total_sv 2", "total_sv 0", "line 5: total_sv is a whole number from 1 on, not '0'"),
        ("total_sv 2", "total_sv 3", "line 10: the file ends after 2 of 3 vectors"),
        ("total_sv 2", "total_sv 1", "line 10: the file ends after 2 of 1 vectors"),
        ("rho -1.25", "rho nan", "line 6: 'nan' is no number"),
        ("SV\n1 1:0.5 3:-1\n-0.25 2:2e-1\n", "", "line 7: the file ends before its support vectors"),
        ("1 1:0.5", "1:0.5", "line 8: '1:0.5' is no number"),
        ("3:-1", "3", "line 8: '3' is no index:value"),
        ("3:-1", "4:-1", "line 8: index 4 after 1; they ascend from 1 to 3"),
        ("1:0.5 3:-1", "3:0.5 1:-1", "line 8: index 1 after 3; they ascend from 1 to 3"),
        ("1:0.5", "0:0.5", "line 8: index 0 after 0; they ascend from 1 to 3"),
        ("2:2e-1", "2:inf", "line 9: 'inf' is no number"),
        ("-0.25 2:2e-1\n", "\n", "line 9: '' is no number"),
        (GOOD, "", "line 1: the file ends before its support vectors"),
    ],
)
def test_malformed_files_are_refused_by_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    (file := tmp_path / "model.txt").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError) as error:
        support_vectors.load(file, 3)
    assert str(error.value) == f"{file}, {says}"


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the model .*No such file"):
        support_vectors.load(tmp_path / "nothing.txt", 3)
    with pytest.raises(InputError, match="cannot read the model"):
        support_vectors.load(tmp_path, 3)
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x80")
    with pytest.raises(InputError, match="not text"):
        support_vectors.load(tmp_path / "sound.wav", 3)


def test_agrees_with_libsvm(tmp_path: Path) -> None:
    """libsvm-official called live."""
    svmutil = pytest.importorskip("libsvm.svmutil")
    (file := tmp_path / "model.txt").write_text(GOOD)
    x = [0.3, -0.4, 0.9]
    (expected,), _, _ = svmutil.svm_predict([0], [x], svmutil.svm_load_model(str(file)), "-q")
    assert support_vectors.load(file, 3)(np.array(x)) == pytest.approx(expected, rel=1e-12)
