"""How numbers of 50,000 images are best kept: Zarr or Parquet, by rate, size and time to read.

``python -m benchmarks.stores`` writes 50,000 images x 144 heads x 5 metrics in float32, 256 images
at a time, and reads them as other tools do. Needs pandas, pyarrow, xarray and zarr.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from vit_attention_widget.results.zarr_folder import ZarrFolder

METRICS = ("probability", "jsd", "loss", "class_token_cosine", "taylor")
LAYERS, HEADS, CHUNK = 12, 12, 256
Values = dict[str, NDArray[np.float32]]


class _Ours:
    """Zarr 2 as this package writes it, plain values, each file flushed."""

    consolidated = True

    def __init__(self, folder: Path) -> None:
        self._folder, self._zarr = folder, ZarrFolder(folder, "image", CHUNK)
        folder.mkdir()

    def append(self, number: int, values: Values) -> None:
        axes = ("image", "layer", "head")
        self._zarr.append(number, {name: (axes, array) for name, array in values.items()}, {})

    def metric(self) -> Any:
        return xr.open_zarr(self._folder, consolidated=self.consolidated)["jsd"].values

    def head(self) -> Any:
        return xr.open_zarr(self._folder, consolidated=self.consolidated)["jsd"][:, 3, 4].values


class _ByZarr(_Ours):
    """Zarr 3 by zarr-python, compressed as by default."""

    consolidated = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._group = folder, zarr.open_group(folder, mode="w")
        for name in METRICS:
            self._group.create_array(
                name,
                shape=(0, LAYERS, HEADS),
                chunks=(CHUNK, LAYERS, HEADS),
                dtype="f4",
                dimension_names=("image", "layer", "head"),
            )

    def append(self, number: int, values: Values) -> None:
        for name, array in values.items():
            self._group[name].append(array)  # type: ignore[union-attr]


class _Long:
    """Parquet, a row for each image and head."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def append(self, number: int, values: Values) -> None:
        count = len(values["jsd"])
        image, layer, head = np.indices((count, LAYERS, HEADS), dtype=np.int32).reshape(3, -1)
        columns = {"image": image + number * CHUNK, "layer": layer, "head": head}
        table = pd.DataFrame({**columns, **{n: array.ravel() for n, array in values.items()}})
        table.to_parquet(self._folder / f"{number:06d}.parquet", index=False)

    def metric(self) -> Any:
        return pd.read_parquet(self._folder, columns=["jsd"])["jsd"].to_numpy()

    def head(self) -> Any:
        chosen = [("layer", "==", 3), ("head", "==", 4)]
        return pd.read_parquet(self._folder, columns=["jsd"], filters=chosen)["jsd"].to_numpy()


class _Wide(_Long):
    """Parquet, a row for each image, a column for each head and metric."""

    def append(self, number: int, values: Values) -> None:
        flat = {name: array.reshape(len(array), -1) for name, array in values.items()}
        columns = {
            f"{name} {head // HEADS} {head % HEADS}": array[:, head]
            for name, array in flat.items()
            for head in range(LAYERS * HEADS)
        }
        pd.DataFrame(columns).to_parquet(self._folder / f"{number:06d}.parquet", index=False)

    def metric(self) -> Any:
        names = [f"jsd {head // HEADS} {head % HEADS}" for head in range(LAYERS * HEADS)]
        return pd.read_parquet(self._folder, columns=names).to_numpy()

    def head(self) -> Any:
        return pd.read_parquet(self._folder, columns=["jsd 3 4"]).to_numpy()


def seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    images: int = parser.parse_args().images
    random = np.random.default_rng(0)
    of_a_chunk = {
        name: random.standard_normal((CHUNK, LAYERS, HEADS), np.float32) for name in METRICS
    }
    print(f"{images} images x {LAYERS * HEADS} heads x {len(METRICS)} metrics, float32\n")
    print("| | write, images/s | a metric, s | a head of a metric, s | on disk, MB | files |")
    print("|---|---|---|---|---|---|")
    for kind in (_Ours, _ByZarr, _Long, _Wide):
        root = Path(tempfile.mkdtemp())
        store: Any = kind(root / "store")
        count = -(-images // CHUNK)

        def write(store: Any = store, count: int = count) -> None:
            for number in range(count):
                left = images - number * CHUNK
                store.append(number, {n: values[:left] for n, values in of_a_chunk.items()})

        writing = seconds(write)
        reading = [min(seconds(each) for _ in range(3)) for each in (store.metric, store.head)]
        files = [file for file in root.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files) / 1e6
        rates = f"{images / writing:.0f} | {reading[0]:.2f} | {reading[1]:.2f}"
        about = str(kind.__doc__).rstrip(".")
        print(f"| {about} | {rates} | {size:.0f} | {len(files)} |", flush=True)
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
