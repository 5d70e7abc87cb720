"""Trained models: where their weights are, how files of weights are read without running code in them, and what stands
before and behind the networks. No weights come with audiosim."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(path: str | Path) -> Any:
    """What a file of weights holds, tensors as arrays: of safetensors (.safetensors), of a checkpoint of TensorFlow
    (.index), or of torch.save. Nothing in it is run. InputError for what is damaged or holds anything else."""
    from . import pickles, safetensors, tensorflow

    match Path(path).suffix:
        case ".safetensors":
            return safetensors.read(path)
        case ".index":
            return tensorflow.read(path)
    return pickles.read(path)
