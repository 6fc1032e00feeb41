"""The flights' example for a cluster: its images, and its callers.

`python -m tools.flights images FOLDER` writes the contexts FOLDER/pipeline and FOLDER/predictor of two images that a
user would have derived from ours. `python -m tools.flights call URL HOST FILE` sends flights through the gateway at URL
until it gets SIGTERM, and keeps what came of them in FILE.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from queue import Queue

import httpx
import pandas as pd

import serinus
from services.demo import flights

ROOT = Path(__file__).resolve().parents[1]
LOOP = "flight-delay"
SHARE = 0.25  # of the year's flights: some 7,000 a month
LEARNED = pd.Timestamp("2013-07-01", tz="UTC")  # what is before it is in the image; callers send the rest
PACE, BATCH = 20.0, 4  # requests a second, flights a request

_PIPELINE = """\
FROM serinus/pipeline:{version}
COPY faulty.py /opt/flights/faulty.py
COPY data /opt/flights/data
ENV PYTHONPATH=/opt/flights
"""
_PREDICTOR = """\
FROM serinus/predictor:{version}
COPY faulty.py /opt/flights/faulty.py
ENV PYTHONPATH=/opt/flights
"""


def images(folder: Path) -> None:
    """Write both contexts anew: the training code, and for the pipeline the flights of half a year."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, dockerfile in (("pipeline", _PIPELINE), ("predictor", _PREDICTOR)):
        context = folder / name
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(dockerfile.format(version=serinus.__version__))
        shutil.copyfile(ROOT / "examples" / "flights" / "faulty.py", context / "faulty.py")
    year = flights.read(SHARE, seed=0)
    flights.append(year[year["time_hour"] < LEARNED], folder / "pipeline" / "data", "2013-first-half")


def call(url: str, host: str, file: Path, stop: threading.Event) -> None:
    """Send the second half of the year, again and again, at an even pace, until `stop`; keep the counts in `file`."""
    year = flights.read(SHARE, seed=0)
    rows = flights.instances(year[year["time_hour"] >= LEARNED])
    batches = cycle([rows[start : start + BATCH] for start in range(0, len(rows) - BATCH, BATCH)])
    answers: Queue[str] = Queue()
    counted: Counter[str] = Counter()
    with httpx.Client(headers={"host": host}, timeout=15, trust_env=False) as client, ThreadPoolExecutor(16) as pool:
        began = time.monotonic()
        for number, batch in enumerate(batches):
            if stop.wait(max(0.0, began + number / PACE - time.monotonic())):
                break
            pool.submit(_ask, client, f"{url}/v1/models/{LOOP}:predict", batch, answers)
            if number % PACE == 0:
                _keep(answers, counted, file)
    _keep(answers, counted, file)


def _ask(client: httpx.Client, url: str, rows: object, answers: Queue[str]) -> None:
    try:
        answer = client.post(url, json={"instances": rows})
        ok = answer.status_code == httpx.codes.OK
        answers.put(f"version {answer.json()['model_version']}" if ok else f"status {answer.status_code}")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        answers.put(type(error).__name__)


def _keep(answers: Queue[str], counted: Counter[str], file: Path) -> None:
    """Add what came in since the last time, and write the counts."""
    counted.update(answers.get_nowait() for _ in range(answers.qsize()))
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(dict(sorted(counted.items()))) + "\n")
    temporary.replace(file)


def main(words: list[str]) -> int:
    """The command line; returns the exit code."""
    match words:
        case ["images", folder]:
            images(Path(folder))
        case ["call", url, host, file]:
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            call(url, host, Path(file), stop)
        case _:
            print(__doc__, file=sys.stderr)  # noqa: T201 - the usage
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
