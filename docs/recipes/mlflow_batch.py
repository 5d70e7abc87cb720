"""MLflow: compares two folders, and logs the mean of each metric, the rows, and the page to listen to as one run.

python mlflow_batch.py originals decoded
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow

METRICS = ["log-mel:bands=64", "si-sdr"]


def log_batch(references: str, tests: str) -> None:
    command = ["audiosim", "batch", references, tests, "-o", "audiosim.jsonl", "--report", "audiosim.html", "-q"]
    command += ["--export", "audiosim.json", *(f"--metric={spec}" for spec in METRICS)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    batch = json.loads(Path("audiosim.json").read_text(encoding="utf-8"))
    with mlflow.start_run():
        mlflow.log_params({"references": references, "tests": tests, "audiosim": batch["audiosim"]})
        for score in batch["summary"]["scores"]:
            if score["mean"] is not None:  # no pair had a value
                mlflow.log_metric(re.sub(r"[^\w./ -]", "_", score["spec"]), score["mean"])
        for file in ("audiosim.jsonl", "audiosim.html"):
            mlflow.log_artifact(file)


if __name__ == "__main__":
    log_batch(*sys.argv[1:3])
