"""Sets over what a trained network makes of recordings."""

import numpy as np
import pytest

from audiosim import Signal
from audiosim.errors import UsageError
from audiosim.sets.embedding import embedding
from audiosim.testing.signals import noise


def test_a_trained_model_is_an_embedding():
    by = embedding("musicnn-mtt")
    assert by.name.startswith("musicnn-mtt-")
    stereo = noise(48000, 7, 1, channels=2).astype(np.float32)
    made = by.of(Signal.of(stereo, 48000))
    assert made.shape == (2, 200)
    mono = Signal.of(stereo.mean(0, keepdims=True), 48000)
    np.testing.assert_array_equal(by.of(mono), made)
    with pytest.raises(UsageError, match="makes no embeddings"):
        embedding("dpam")
