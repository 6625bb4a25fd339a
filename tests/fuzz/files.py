"""Hostile files: each is read rightly, or refused by its name with one error.

python -m tests.fuzz.files --times 3000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from tests.fuzz.count import Count
from tests.fuzz.messages import anything, nested
from vit_attention_widget.errors import VitAttentionError
from vit_attention_widget.results.storage import FORMAT_VERSION

__all__ = ["attack"]


@dataclass
class Kind:
    """A kind of file: a sound one, how it is read, and what is first done with it."""

    content: bytes
    load: Callable[[Path], Any]
    use: Callable[[Any], object]


def kinds(folder: Path) -> dict[str, Kind]:
    """Every kind of file that the package reads."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit", img_size=32, num_classes=5).eval()
    plain = timm.create_model("test_vit", img_size=32, num_classes=0).eval()
    images = torch.randn(4, 3, 32, 32)
    trace = vaw.trace(model, images[:1])
    importance = vaw.head_importance(model, images[:2], metric="taylor")
    bank = vaw.targets.MemoryBank.fit(plain, images, [0, 1, 0, 1])
    results = {
        "attribution": vaw.explainers.legrad(trace),
        "comparison": vaw.compare(trace),
        "importance": importance,
        "strength": vaw.attention_strength(trace),
    }

    def saved(write: Callable[[Path], object]) -> bytes:
        path = folder / "sound"
        write(path)
        return path.read_bytes()

    def explain(loaded: Any) -> object:
        return vaw.trace(plain, images[:1], loaded.target(1))

    kinds = {
        name: Kind(saved(result.save), type(result).load, _use_result)
        for name, result in results.items()
    }
    kinds["memory bank"] = Kind(saved(bank.save), vaw.targets.MemoryBank.load, explain)
    small = vaw.prune_heads(model, {0: [1]})
    kinds["pruned model"] = Kind(
        saved(lambda path: vaw.save_pruned(small, path)),
        lambda path: vaw.load_pruned(model, path),
        lambda loaded: _finite(loaded, images),
    )
    return kinds


def _use_result(result: Any) -> object:
    return result.rows(), result._repr_html_()


@torch.no_grad()
def _finite(model: nn.Module, images: Tensor) -> Tensor:
    return model(images[:1])


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + rest


def change(chance: random.Random, value: Any) -> Any:
    """JSON with one thing in it changed, taken away, or put in."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: change(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], change(chance, value[place]), *value[place + 1 :]]
    return chance.choice([anything(chance), nested(50), -1, 0, None, "x", [], {}])


def hostile(chance: random.Random, content: bytes, other: bytes) -> bytes:
    """A sound file, damaged in one of many ways."""
    header, rest = parts(content)
    about = header["__metadata__"]
    key = next(key for key in about if not key.endswith("format_version"))
    match chance.randrange(9):
        case 0:
            return content[: int(len(content) * chance.random())]
        case 1:
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 20)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            return bytes(damaged)
        case 2 | 3 | 4:
            changed = {**about, key: json.dumps(change(chance, json.loads(about[key])))}
            return joined({**header, "__metadata__": changed}, rest)
        case 5:
            return joined(change(chance, header), rest)
        case 6:
            name = chance.choice([name for name in header if name != "__metadata__"])
            tensor = dict(header[name])
            size = len(tensor["shape"])
            tensor["shape"] = chance.choice(
                [tensor["shape"][::-1], [*tensor["shape"], 1], [0] * size, [2**40], tensor["shape"]]
            )
            tensor["dtype"] = chance.choice(["F32", "F64", "I32", "BOOL", "C64", tensor["dtype"]])
            return joined({**header, name: tensor}, rest)
        case 7:
            version = chance.choice([str(FORMAT_VERSION + 1), "", "-1", "9" * 400, "x"])
            changed = {**about, "vit_attention_widget.format_version": version}
            return joined({**header, "__metadata__": changed}, rest)
        case _:
            return chance.choice(
                [
                    b"",
                    other,
                    chance.randbytes(300),
                    (2**63).to_bytes(8, "little"),
                    joined({**header, "__metadata__": {key: "[" * 100_000}}, rest),
                    joined(header, b"\xff" * len(rest)),
                ]
            )


def no_file(chance: random.Random, folder: Path) -> Path:
    """A path that leads to no file."""
    pipe, loop = folder / "pipe", folder / "loop"
    if not pipe.exists():
        os.mkfifo(pipe)
        loop.symlink_to(loop)
    return chance.choice(
        [folder, pipe, loop, folder / "missing", folder / ("x" * 5000), Path("/dev/zero"),
         Path("/dev/null"), folder / "sound" / "below", Path("a\0b"), folder / "\ud800"]
    )  # fmt: skip


def attack(times: int, seed: int) -> Count:
    """Read and use ``times`` hostile files."""
    chance, count = random.Random(seed), Count()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        each = kinds(folder)
        for number in range(times):
            kind = chance.choice(list(each))
            if chance.random() < 0.1:
                count.add(
                    f"no {kind} {number}", VitAttentionError, _no_file,
                    each[kind], no_file(chance, folder),
                )  # fmt: skip
                continue
            path = folder / "hostile.safetensors"
            path.write_bytes(
                hostile(chance, each[kind].content, each[chance.choice(list(each))].content)
            )
            count.add(f"{kind} {number}", VitAttentionError, _read, each[kind], path)
    return count


def _read(kind: Kind, path: Path) -> None:
    try:
        result = kind.load(path)
    except VitAttentionError as error:
        if path.name not in str(error):
            raise AssertionError(f"the file is not named: {error}") from error
        raise
    kind.use(result)


def _no_file(kind: Kind, path: Path) -> None:
    for use in (kind.load, lambda path: vaw.explainers.Attribution.load(path)):
        try:
            use(path)
        except VitAttentionError:
            continue
        raise AssertionError(f"{path} was read")
    kind.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(attack(asked.times, asked.seed).report(), indent=1))


if __name__ == "__main__":
    main()
