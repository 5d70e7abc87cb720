"""Tables of recordings and of listeners' choices."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.collection import tables
from audiosim.errors import InputError, NothingToCompare, UsageError


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "sub/c.flac", "notes.txt"):
        (folder / name).write_bytes(b"")
    return folder


def written(music, text, name="labels.csv"):
    (music.parent / name).write_text(text)
    return str(music.parent / name)


def test_a_folder_alone(music):
    files, notes = tables.files(str(music), None)
    assert [f.name for f in files] == ["a.wav", "b.wav", "sub/c.flac"]
    assert "1 .txt" in notes[0]
    assert [f.name for f in tables.files(str(music), None, ["*.wav"], ["b*"])[0]] == ["a.wav"]


def test_a_table_of_paths_below_the_folder_or_from_its_own(music):
    labels = written(music, "file,artist,genre\na.wav,x,rock\nmusic/sub/c.flac,y,\n")
    files, notes = tables.files(str(music), labels)
    assert [dict(f.columns) for f in files] == [{"artist": "x", "genre": "rock"}, {}, {"artist": "y", "genre": ""}]
    assert "1 recording is not in" in notes[-1]
    np.testing.assert_array_equal(tables.codes(files, "artist", labels), [0, -1, 1])
    np.testing.assert_array_equal(tables.codes(files, "genre", labels), [0, -1, -1])
    with pytest.raises(UsageError, match="has no column 'album'; it has: artist, genre"):
        tables.codes(files, "album", labels)


def test_a_table_alone(music):
    labels = written(music, "path\tlabel\nmusic/b.wav\t1\n" + "music/a.wav\t2\n", "labels.tsv")
    files, _ = tables.files(None, labels)
    assert [(f.name, f.path.endswith(f.name), f.columns["label"]) for f in files] == [
        ("music/b.wav", True, "1"),
        ("music/a.wav", True, "2"),
    ]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("artist\nx\n", InputError, "line 2: has no file"),
        ("file,artist\nz.wav,x\n", InputError, "names no recording below"),
        ("file,artist\na.wav,x\na.wav,y\n", InputError, "line 3: says something else of a.wav than line 2"),
        ("file,artist\na.wav\n", InputError, "line 2: has 1 cells"),
        ("file,file\na.wav,b\n", InputError, "two columns"),
    ],
)
def test_tables_that_make_no_sense(music, text, error, words):
    with pytest.raises(error, match=words):
        tables.files(str(music), written(music, text))


def test_nothing(tmp_path):
    with pytest.raises(NothingToCompare, match="no recording below"):
        tables.files(str(tmp_path), None)
    with pytest.raises(InputError, match="no such folder"):
        tables.files(str(tmp_path / "x"), None)
    with pytest.raises(UsageError, match="give a folder"):
        tables.files(None, None)
    with pytest.raises(InputError, match="cannot be read"):
        tables.files(str(tmp_path), str(tmp_path / "no.csv"))


def test_the_column_that_is_the_label(music):
    def label(text, asked=None, filtered=None):
        files, _ = tables.files(str(music), written(music, text))
        return tables.label(files, asked, filtered, "labels.csv")

    assert label("file,genre\na.wav,x\n") == "genre"
    assert label("file,artist,label\na.wav,x,y\n") == "label"
    assert label("file,artist,genre\na.wav,x,y\n", "artist") == "artist"
    assert label("file,artist,genre\na.wav,x,y\n", None, "artist") == "genre"
    assert label("file,artist\na.wav,x\n", None, "artist") is None
    with pytest.raises(UsageError, match="artist, genre: say with --label"):
        label("file,artist,genre\na.wav,x,y\n")


def test_trials(music):
    files, _ = tables.files(str(music), None)
    path = written(music, "target,chosen,unchosen\na.wav,b.wav,sub/c.flac\nmusic/b.wav,a.wav,sub/c.flac\n", "t.csv")
    assert tables.trials(path, files) == [tables.Trial(0, 1, (2,)), tables.Trial(1, 0, (2,))]
    path = written(music, "trial,target,chosen,unchosen\n1,a.wav,b.wav,sub/c.flac\n2,a.wav,b.wav,sub/c.flac\n", "t.csv")
    assert len(tables.trials(path, files)) == 2
    for text, words in (
        ("target,chosen\na.wav,b.wav\n", "line 2: has no unchosen"),
        ("target,chosen,unchosen\na.wav,b.wav,z.wav\n", "line 2: z.wav is not in the collection"),
    ):
        with pytest.raises(InputError, match=words):
            tables.trials(written(music, text, "t.csv"), files)
    with pytest.raises(NothingToCompare, match="has no choices"):
        tables.trials(written(music, "target,chosen,unchosen\n", "t.csv"), files)
