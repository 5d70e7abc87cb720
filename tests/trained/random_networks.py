"""Small random networks with the layers of the known ones, so that tests need no weights. Nothing in them was trained:
they show that what is computed is computed as it should be, not that it means anything."""

import numpy as np

from tests.trained import archive, checkpoint


def written(folder):
    """dpam, cdpam, nisqa and resemblyzer in a folder, under the names that the user's folder has."""
    checkpoint.written(dpam(), folder / "dpam")
    archive.written(cdpam(), folder / "cdpam.pth", "state")
    archive.written(nisqa(), folder / "nisqa.tar", "model_state_dict")
    archive.written(resemblyzer(), folder / "resemblyzer.pt", "model_state")


def dpam(seed=1):
    rng, found, before = np.random.default_rng(seed), {}, 1
    for i in range(14):
        size = 4 * 2 ** (i // 5)
        found[f"loss_conv_{i}/weights"] = _normal(rng, (1, 3, before, size), 3 * before)
        found[f"loss_conv_{i}/BatchNorm/beta"] = _normal(rng, (size,), 4)
        found[f"weights_{i}"] = _normal(rng, (size,), 1)
        before = size
    return found


def cdpam(seed=2):
    rng, found, before = np.random.default_rng(seed), {}, 1
    for i in range(16):
        size = 4 * 2 ** ((i + 1) // 4)
        found[f"base_encoder.encoder.{i}.weight"] = _normal(rng, (size, before, 15), 15 * before / 2)
        found[f"base_encoder.encoder.{i}.bias"] = _normal(rng, (size,), 1)
        found |= _norm(rng, f"base_encoder.ebatch.{i}.", size)
        before = size
    before //= 2
    for i, size in enumerate((16, 12, 8, 4)):
        found[f"model_dist.convs.{i}.0.weight"] = _normal(rng, (size, before), before)
        found[f"model_dist.convs.{i}.0.bias"] = _normal(rng, (size,), 100)
        found[f"model_dist.chan_w.{i}"] = _normal(rng, (size,), 1)
        before = size
    return found


def nisqa(seed=3):
    rng, found, before = np.random.default_rng(seed), {}, 1
    for i, size in enumerate((3, 4, 5, 5, 5, 5), 1):
        found[f"cnn.model.conv{i}.weight"] = _normal(rng, (size, before, 3, 3), 9 * before / 2)
        found[f"cnn.model.conv{i}.bias"] = _normal(rng, (size,), 10)
        found |= _norm(rng, f"cnn.model.bn{i}.", size)
        before = size
    size = 8
    dense = {"linear": (size, 30)}
    for i in range(2):
        layer = f"layers.{i}."
        found[f"time_dependency.model.{layer}self_attn.in_proj_weight"] = _normal(rng, (3 * size, size), size)
        found[f"time_dependency.model.{layer}self_attn.in_proj_bias"] = _normal(rng, (3 * size,), 10)
        dense |= {f"{layer}{n}": (size, size) for n in ("self_attn.out_proj", "linear1", "linear2")}
    for name in ("norm1", *(f"layers.{i}.norm{k}" for i in range(2) for k in (1, 2))):
        found[f"time_dependency.model.{name}.weight"] = 1 + _normal(rng, (size,), 10)
        found[f"time_dependency.model.{name}.bias"] = _normal(rng, (size,), 10)
    dense = {f"time_dependency.model.{name}": shape for name, shape in dense.items()}
    for i in range(5):
        shapes = {"linear1": (6, size), "linear2": (1, 6), "linear3": (1, size)}
        dense |= {f"pool_layers.{i}.model.{name}": shape for name, shape in shapes.items()}
    for name, shape in dense.items():
        found[f"{name}.weight"], found[f"{name}.bias"] = _normal(rng, shape, shape[1]), _normal(rng, shape[:1], 10)
    return found


def resemblyzer(seed=4):
    """Nearly linear, so that it hears what direction a spectrum has, and noise as noise. No bias but that of gates that
    forget: they keep what was heard before the silence with which a short sound is filled up."""
    rng, found, before, size = np.random.default_rng(seed), {}, 40, 12
    for i in range(3):
        found[f"lstm.weight_ih_l{i}"] = _normal(rng, (4 * size, before), before if i else 0.1)
        found[f"lstm.weight_hh_l{i}"] = _normal(rng, (4 * size, size), size)
        found[f"lstm.bias_ih_l{i}"], found[f"lstm.bias_hh_l{i}"] = np.zeros((2, 4 * size), np.float32)
        found[f"lstm.bias_ih_l{i}"][size : 2 * size] = 1.0
        before = size
    found["linear.weight"], found["linear.bias"] = _normal(rng, (16, size), size), np.zeros(16, np.float32)
    return found


def _norm(rng, name, size):
    """Batch normalisation."""
    return {
        f"{name}weight": 1 + _normal(rng, (size,), 25),
        f"{name}bias": _normal(rng, (size,), 4),
        f"{name}running_mean": _normal(rng, (size,), 4),
        f"{name}running_var": rng.uniform(0.5, 2, size).astype(np.float32),
    }


def _normal(rng, shape, divided_by):
    """Of the variance 1 / divided_by."""
    return (rng.standard_normal(shape) / np.sqrt(divided_by)).astype(np.float32)
