"""musicnn in numpy is the network of the package, whose checkpoint it reads."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.testing.signals import chord_music
from audiosim.trained import embedding, musicnn, weights
from tests.trained.checkpoint import written

# musicnn 0.1.0, models.define_model under TensorFlow 2.15.1 with its checkpoints, on patches of log10(10000 m + 1), m
# of librosa 0.11.0's melspectrogram as its extractor.py calls it, without its rounding to float16, of
# chord_music(16000, 7, 1) in float32: the layer "penultimate". Some of its units, their values in two patches, and the
# lengths of all 200.
GOLDEN = {
    "musicnn-mtt": (
        [43, 78, 91, 93, 110, 124, 128, 190],
        [
            [0.96636, 1.11328, -0.05195, 0.19056, 0.83047, 0.92054, 1.56632, 0.54552],
            [1.30719, 1.47784, -0.31069, 0.43998, 1.42124, 0.59832, 2.10849, 0.81059],
        ],
        [8.9052, 9.22025],
    ),
    "musicnn-msd": (
        [27, 35, 70, 98, 119, 149, 154, 170],
        [
            [0.29589, 0.27558, -0.00588, -0.12122, 0.04725, 1.59413, -0.15947, 0.35229],
            [0.85697, 0.97206, -0.58934, 0.53437, 1.17629, 2.321, 0.43539, 1.05905],
        ],
        [8.82238, 10.25783],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_embeddings_are_those_of_the_package(name):
    if weights.located(name) is None:
        pytest.skip(f"{name} is not here; audiosim models get {name}")
    units, values, lengths = GOLDEN[name]
    made = embedding.load(name)(chord_music(16000, 7, 1)[0].astype(np.float32)).numbers
    assert made.shape == (2, 200)
    np.testing.assert_allclose(made[:, units], values, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), lengths, atol=1e-4)


def test_layers_are_what_the_paper_says(tmp_path):
    """A small random network of the same layers, against sums that are written out."""
    rng = np.random.default_rng(1)
    shapes = [(7, 3, 1, 4), (7, 5, 1, 4), (8, 1, 1, 2), (4, 1, 1, 2), (2, 1, 1, 2)]
    front = sum(shape[-1] for shape in shapes)
    shapes += [(7, front, 1, 3), (7, 3, 1, 3), (7, 3, 1, 3)]
    pooled = 2 * (front + 9)
    layers = {}
    for n, shape in enumerate(shapes):
        end = f"_{n}" if n else ""
        layers[f"conv2d{end}/kernel"] = rng.normal(size=shape) / 5
        layers[f"conv2d{end}/bias"] = rng.normal(size=shape[-1])
    for n, size in enumerate([1, *(shape[-1] for shape in shapes), pooled, 6]):
        end = f"_{n}" if n else ""
        for part in ("moving_mean", "beta", "gamma"):
            layers[f"batch_normalization{end}/{part}"] = rng.normal(size=size)
        layers[f"batch_normalization{end}/moving_variance"] = rng.uniform(0.5, 2, size)
    layers |= {"dense/kernel": rng.normal(size=(pooled, 6)), "dense/bias": rng.normal(size=6)}
    layers = {name: x.astype(np.float32) for name, x in layers.items()}
    written(layers, tmp_path / "net")
    x = rng.normal(size=(12, 9))
    (made,) = musicnn.network(tmp_path / "net.index")({"patch": x[None]})
    np.testing.assert_allclose(made[0], _written_out(layers, x), rtol=1e-5, atol=1e-5)


def _written_out(layers, x):
    def of(kind, n, part):
        return layers[f"{kind}_{n}/{part}" if n else f"{kind}/{part}"].astype(float)

    def normal(n, x):
        mean, var, gain, shift = (
            of("batch_normalization", n, part) for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return gain * (x - mean) / np.sqrt(var + 1e-3) + shift

    def layer(n, x, before, after):
        kernel, bias = of("conv2d", n, "kernel")[:, :, 0], of("conv2d", n, "bias")
        frames, bands, filters = kernel.shape
        padded = np.concatenate([np.zeros((before, x.shape[1])), x, np.zeros((after, x.shape[1]))])
        out = np.empty((len(x), x.shape[1] - bands + 1, filters))
        for t, b, f in np.ndindex(out.shape):
            out[t, b, f] = max(0, np.sum(padded[t : t + frames, b : b + bands] * kernel[..., f]) + bias[f])
        return normal(n + 1, out).max(1)

    y = normal(0, x[..., None])[..., 0]
    front = np.hstack(
        [layer(n, y, 3, 3) for n in (0, 1)] + [layer(n, y, *s) for n, s in ((2, (3, 4)), (3, (1, 2)), (4, (0, 1)))]
    )
    one = layer(5, front, 3, 3)
    two = layer(6, one, 3, 3) + one
    three = layer(7, two, 3, 3) + two
    every = np.hstack([front, one, two, three])
    flat = normal(9, np.stack([every.max(0), every.mean(0)], 1).ravel())
    return normal(10, np.maximum(flat @ layers["dense/kernel"] + layers["dense/bias"], 0))
