"""Leave-one-out of many scenes on workers: how much faster two are, and what faults do to it.

``python -m benchmarks.workers --write`` draws 2,000 scenes into tar files and takes the importance
of the bundled model's 24 heads: in this process; by one worker of Dask and by two; and by two of
which one is killed, and then the client itself, after which the same call goes on. About two and a
half minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from PIL import Image

import vit_attention_widget as vaw

from .measure import Row, said, write_table

METRICS = ("probability", "jsd")
WORKERS = 2


@dataclass(frozen=True)
class Rate:
    """How fast images were computed."""

    images: int
    seconds: float
    cpu_seconds: float
    """Of the workers."""

    def __str__(self) -> str:
        return (
            f"{self.images / self.seconds:.1f} images/s, "
            f"{1000 * self.cpu_seconds / self.images:.0f} ms of a core an image"
        )


@dataclass(frozen=True)
class Faulty:
    """What became of a run of which a worker was killed, and then the client."""

    images: int
    computed_by_second: int
    """Images that the client that went on had to compute."""

    largest_difference: float


def draw(folder: Path, count: int, per_shard: int = 500) -> list[Path]:
    """Scenes in tar files, pictures beside their classes."""
    shards = []
    for start in range(0, count, per_shard):
        shards.append(folder / f"scenes-{start:05d}.tar")
        with tarfile.open(shards[-1], "w") as tar:
            for first in range(start, min(start + per_shard, count), 100):
                seeds = range(first, min(first + 100, start + per_shard, count))
                images, _, labels = vaw.demo.draw(seeds)
                for seed, image, label in zip(seeds, images, labels.tolist(), strict=True):
                    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0)
                    file = io.BytesIO()
                    Image.fromarray(pixels.numpy()).save(file, "PNG", compress_level=1)
                    for ending, content in (("png", file.getvalue()), ("cls", b"%d" % label)):
                        member = tarfile.TarInfo(f"{seed:05d}.{ending}")
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))
    return shards


def importance(folder: Path, count: int, max_batch: int | None, **how: Any) -> vaw.HeadImportance:
    """Of the first so many scenes of a folder."""
    shards: Any = vaw.TarShards(folder)
    if count < len(shards):
        shards = shards[:count]
    model = vaw.made_by(vaw.demo.load_model)
    return vaw.head_importance(model, shards, metric=METRICS, max_batch=max_batch, **how)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of so many worker processes of one thread each.

    On Linux they are forked from a process that has imported the package, which saves each of them
    seconds; elsewhere libraries do not bear to be forked.
    """
    import dask
    import distributed

    settings: dict[str, Any] = {"distributed.worker.profile.enabled": False}  # 100 looks a second
    if sys.platform == "linux":
        settings["distributed.worker.multiprocessing-method"] = "forkserver"
    with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"), dask.config.set(settings):
        if sys.platform == "linux":
            context: Any = distributed.utils.get_mp_context()
            context.set_forkserver_preload(["distributed", "vit_attention_widget", "timm"])
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
            ) as local,
            distributed.Client(local) as client,
        ):
            yield client


def rate(folder: Path, workers: int, count: int, max_batch: int | None) -> Rate:
    """Of so many workers, which have loaded the model."""
    with cluster(workers) as client:
        executor = client.get_executor(pure=False, retries=2)
        importance(folder, 32 * workers, max_batch, executor=executor)
        used = sum(client.run(time.process_time).values())
        start = time.perf_counter()
        importance(folder, count, max_batch, executor=executor)
        seconds = time.perf_counter() - start
        used = sum(client.run(time.process_time).values()) - used
    return Rate(count, seconds, used)


def stored(store: Path, at_once: int) -> int:
    """How many images there are files of, about."""
    return 256 * len(list(store.glob("chunks/*.safetensors"))) + at_once * len(
        list(store.glob("parts/*.safetensors"))
    )


def with_faults(
    folder: Path, count: int, max_batch: int | None, expected: vaw.HeadImportance
) -> Faulty:
    """Kill a worker after a quarter of the images, the client after a half, and go on."""
    store, at_once = folder / "store", max(1, (max_batch or 64) // 4)
    with cluster(WORKERS) as client:
        command = [sys.executable, "-m", "benchmarks.workers", "--client"]
        command += [client.scheduler.address, str(folder), str(count), str(max_batch or 0)]
        workers = list(client.run(os.getpid).values())
        first = subprocess.Popen(command)
        _wait(lambda: stored(store, at_once) >= count / 4, first)
        os.kill(workers[0], signal.SIGKILL)
        _wait(lambda: stored(store, at_once) >= count / 2, first)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = stored(store, at_once)
        executor = client.get_executor(pure=False, retries=2)
        result = importance(folder, count, max_batch, store=store, executor=executor)
    if len(result) != count or not result.complete:
        raise SystemExit(f"There are {result.how_far} in the store.")
    differences = [(result[metric] - expected[metric]).abs().max() for metric in METRICS]
    return Faulty(len(result), count - min(kept, count), float(torch.stack(differences).max()))


def _wait(until: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not until():
        if process.poll() is not None:
            raise SystemExit("The client ended before it could be killed.")
        time.sleep(0.02)


def run_client(address: str, folder: str, count: str, max_batch: str) -> None:
    """The client that is killed: the same call each time."""
    import distributed

    with distributed.Client(address) as client:
        executor = client.get_executor(pure=False, retries=2)
        path = Path(folder)
        importance(
            path, int(count), int(max_batch) or None, store=path / "store", executor=executor
        )


def table(options: argparse.Namespace) -> list[Row]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary), []
        draw(folder, options.images)
        used, start = time.process_time(), time.perf_counter()
        expected = importance(folder, options.images, None)
        alone = Rate(
            options.images, time.perf_counter() - start, time.process_time() - used
        )  # and the images were read here
        rows.append(said(Row("this process alone", str(alone))))
        one = rate(folder, 1, options.images // 4, None)
        rows.append(said(Row("one worker", str(one))))
        two = rate(folder, WORKERS, options.images // 2, None)
        faster = (two.images / two.seconds) / (one.images / one.seconds)
        rows.append(said(Row("two workers", f"{two}; {faster:.2f} x one worker's rate", ">= 1.7")))
        faulty = with_faults(folder, options.images, None, expected)
        text = (
            f"{faulty.images} images, each once; {faulty.computed_by_second} computed after the "
            f"client was killed; largest difference {faulty.largest_difference:g}"
        )
        rows.append(said(Row("two workers, one killed, then the client", text, "0")))
    load = os.getloadavg()
    rows.append(Row("load of the machine meanwhile", f"{load[0]:.1f} on {os.cpu_count()} cores"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.threads = 1
    if options.client:
        torch.set_num_threads(1)
        run_client(*options.client)
        return
    write_table(table(options), "workers", options, keep=options.write)


if __name__ == "__main__":
    main()
