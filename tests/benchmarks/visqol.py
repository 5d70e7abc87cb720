"""ViSQOL against the recorded numbers of the original: all pairs whose files lie in ../shared, and the time they take.

python -m tests.benchmarks.visqol [FOLDER]  (FOLDER holds oracles/ and audio/; default ../shared)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from audiosim import load
from audiosim.hearing.support_vectors import installed_model
from audiosim.metrics import visqol, visqol_speech


def main(folder: Path) -> None:
    """A line a pair: largest deviation of vnsim, bands and score, and seconds on one core."""
    model = installed_model()
    print(f"{'test':45} {'mode':7} {'vnsim':>9} {'bands':>9} {'MOS':>9} {'s':>6}")
    for pair in json.loads((folder / "oracles" / "visqol_zimtohrli.json").read_text())["pairs"]:
        files = [folder / "audio" / "visqol" / Path(pair[end]).with_suffix(".flac").name for end in ("ref", "deg")]
        if "vnsim" not in pair["measured"] or not all(file.exists() for file in files):
            continue
        (ref, test), expected, speech = (load(file) for file in files), pair["measured"], pair["mode"] == "speech"
        metric = visqol_speech if speech else visqol
        options = {"scale": "unscaled"} if "--unscaled" in pair["options"] else {}
        if not speech:
            options = {"model": str(model)} if model else {"output": "vnsim"}
        metric.compute(ref.samples, test.samples, ref.rate, **options)
        start = time.process_time()
        result = metric.compute(
            ref.samples, test.samples, ref.rate, detail="profile", band_edges="bins", jobs=1, **options
        )
        seconds = time.process_time() - start
        bands = np.abs(np.subtract(result.per_band, expected["fvnsim"])).max()
        score = f"{abs(result.value - expected['moslqo']):9.1e}" if speech or model else "       --"
        vnsim = abs(result.details["vnsim"] - expected["vnsim"])
        print(f"{files[1].stem:45} {pair['mode']:7} {vnsim:9.1e} {bands:9.1e} {score} {seconds:6.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared")
