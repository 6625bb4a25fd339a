"""What results share: tables with named axes, checked files, pictures for notebooks."""

from __future__ import annotations

import base64
import builtins
import csv
import importlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.models.fingerprint import ModelFingerprint
from vit_attention_widget.results.csv_file import write_csv
from vit_attention_widget.results.drawing import axes_or_new
from vit_attention_widget.results.heat_map import heat_map, heat_maps
from vit_attention_widget.results.html import block, table
from vit_attention_widget.results.named_values import NamedValues, Variable
from vit_attention_widget.results.storage import read_tensors, write_tensors

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Maps(NamedValues):
    """The plainest result."""

    kind = "test maps"
    axes = ("image", "layer")

    values: Tensor
    method: str
    names: tuple[str, ...]
    extra: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Study(NamedValues):
    """Several variables, one of them over fewer axes, and named places."""

    kind = "test study"
    axes = ("image", "method")

    values: Tensor
    second: Tensor
    baseline: Tensor
    methods: tuple[str, ...]

    def _variables(self) -> Mapping[str, Variable]:
        return {
            "first": Variable(self.axes, self.values),
            "second": Variable(self.axes, self.second),
            "baseline": Variable(("image",), self.baseline),
        }

    def _coords(self) -> Mapping[str, Sequence[Any]]:
        return {"method": self.methods}


def maps() -> Maps:
    return Maps(torch.tensor([[0.5, NAN], [1.5, 2.5]]), "daam", ("a", "b"))


def study() -> Study:
    return Study(
        torch.tensor([[1.0, NAN], [NAN, 4.0]]),
        torch.tensor([[5.0, NAN], [7.0, 8.0]]),
        torch.tensor([0.25, 0.75]),
        ("legrad", "random"),
    )


def test_rows_leave_out_places_without_a_value() -> None:
    assert maps().rows() == [
        {"image": 0, "layer": 0, "value": 0.5},
        {"image": 1, "layer": 0, "value": 1.5},
        {"image": 1, "layer": 1, "value": 2.5},
    ]


def test_a_row_stays_while_one_of_its_variables_is_known() -> None:
    rows = study().rows()
    assert [(row["image"], row["method"]) for row in rows] == [
        (0, "legrad"),
        (1, "legrad"),
        (1, "random"),
    ]
    assert np.isnan(rows[1]["first"])
    assert rows[1]["second"] == 7.0


def test_a_table_of_pandas() -> None:
    frame = study().to_dataframe()
    assert list(frame.columns) == ["image", "method", "first", "second"]
    assert frame["method"].tolist() == ["legrad", "legrad", "random"]


def test_a_data_set_of_xarray() -> None:
    data = study().to_xarray()
    assert data["first"].dims == ("image", "method")
    assert data["baseline"].dims == ("image",)
    assert data["method"].values.tolist() == ["legrad", "random"]
    assert float(data["second"].sel({"image": 1, "method": "random"})) == 8.0
    assert maps().to_xarray().attrs == {"method": "daam"}


def test_a_table_as_a_file(tmp_path: Path) -> None:
    study().to_csv(tmp_path / "study.csv")
    with open(tmp_path / "study.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert read[0] == {"image": "0", "method": "legrad", "first": "1.0", "second": "5.0"}
    with pytest.raises(ParameterError, match=r"missing.*cannot be written"):
        study().to_csv(tmp_path / "missing" / "study.csv")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_every_dtype_becomes_a_table(dtype: torch.dtype) -> None:
    result = Maps(torch.ones(1, 2, dtype=dtype), "daam", ())
    assert [row["value"] for row in result.rows()] == [1, 1]


@pytest.mark.parametrize(
    ("library", "use"),
    [
        ("pandas", lambda: maps().to_dataframe()),
        ("xarray", lambda: maps().to_xarray()),
        ("matplotlib", lambda: axes_or_new(None)),
    ],
)
def test_a_missing_library_is_named_with_the_extra(
    library: str, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return real(name, *args)

    monkeypatch.setattr("vit_attention_widget.results.optional.import_module", without)
    with pytest.raises(ParameterError, match=rf"needs {library}.*vit-attention-widget\[tables\]"):
        use()


def test_axes_that_are_given_are_used() -> None:
    given = object()
    assert axes_or_new(given) is given  # type: ignore[arg-type, comparison-overlap]


# Files -------------------------------------------------------------------------------------------


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    maps().save(tmp_path / "maps.safetensors")
    loaded = Maps.load(tmp_path / "maps.safetensors")
    torch.testing.assert_close(loaded.values, maps().values, equal_nan=True, rtol=0, atol=0)
    assert (loaded.method, loaded.names, loaded.extra) == ("daam", ("a", "b"), None)


def test_loaded_tensors_do_not_need_the_file(tmp_path: Path) -> None:
    path = tmp_path / "maps.safetensors"
    maps().save(path)
    loaded = Maps.load(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    torch.testing.assert_close(loaded.values, maps().values, equal_nan=True)
    loaded.values[0, 0] = 9.0


def test_saving_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "maps.safetensors"
    maps().save(path)
    Maps(torch.zeros(1, 1), "other", ()).save(str(path))
    assert Maps.load(path).method == "other"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_file_stays_as_it_was_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "maps.safetensors"
    maps().save(path)
    before = path.read_bytes()

    def full(tensors: Any, name: Path, header: Any) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("vit_attention_widget.results.storage.save_file", full)
    with pytest.raises(ParameterError, match=r"maps\.safetensors cannot be written: No space left"):
        Maps(torch.zeros(1, 1), "other", ()).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "maps.safetensors", tmp_path / "link.safetensors"
    maps().save(path)
    link.symlink_to(path)
    Maps(torch.zeros(1, 1), "other", ()).save(link)
    assert link.is_symlink()
    assert Maps.load(path).method == "other"


def test_tensors_may_share_memory_or_be_views(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"whole": whole, "row": whole[1], "turned": whole.T, "wide": whole[:1].expand(5, 4)}
    write_tensors(tmp_path / "file", "views", {**tensors, "empty": torch.zeros(0, 3)}, {})
    read, about = read_tensors(tmp_path / "file", "views")
    assert about == {}
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor)
    assert read["empty"].shape == (0, 3)


def test_gradients_are_left_behind(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", "weights", {"w": torch.ones(2, requires_grad=True)}, {})
    assert not read_tensors(tmp_path / "file", "weights")[0]["w"].requires_grad


def test_numbers_that_are_not_known_come_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", "numbers", {}, {"nan": NAN, "nested": {"a": [1, None]}})
    about = read_tensors(tmp_path / "file", "numbers")[1]
    assert np.isnan(about.pop("nan"))
    assert about == {"nested": {"a": [1, None]}}


def test_files_of_earlier_releases_name_no_version(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "old", {"vit_attention_widget.memory_bank": "{}"})
    tensors, about = read_tensors(tmp_path / "old", "memory bank")
    assert (tensors["x"].tolist(), about) == ([1.0], {})


def test_a_file_says_what_it_holds_and_in_which_format(tmp_path: Path) -> None:
    maps().save(tmp_path / "file")
    with safe_open(tmp_path / "file", "pt") as file:
        assert set(file.metadata()) == {
            "vit_attention_widget.test_maps",
            "vit_attention_widget.format_version",
        }


def refused(path: Path, match: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(path.name) + match):
        Maps.load(path)


def test_files_that_cannot_be_used_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    with pytest.raises(ParameterError, match=r"There is no file .*file\.safetensors"):
        Maps.load(path)
    path.write_bytes(b"no such format at all")
    refused(path, " cannot be read as safetensors")
    path.write_bytes(b"")
    refused(path, " cannot be read as safetensors")
    refused(tmp_path, ".* cannot be read as safetensors")
    save_file({"x": torch.ones(1)}, path)
    refused(path, " holds no test maps")
    study().save(path)
    refused(path, " holds test study, not test maps")
    key = "vit_attention_widget.test_maps"
    save_file({}, path, {key: "{}", "vit_attention_widget.format_version": "2"})
    refused(path, " has format version 2, but this release reads up to version 1: upgrade")
    save_file({}, path, {key: "{broken"})
    refused(path, " cannot be read")
    save_file({}, path, {key: "[]"})
    refused(path, " is damaged")
    save_file({}, path, {key: '{"method": "daam"}'})
    refused(path, " is damaged: .*values")
    save_file({}, path, {key: '{"method": "daam", "names": [], "strange": 1, "values": 2}'})
    refused(path, " is damaged: .*strange")
    write_tensors(path, "test maps", {"values": torch.ones(3)}, {"method": "", "names": []})
    refused(path, r" is damaged: value has the shape \[3\], not \['image', 'layer'\]")


def test_a_folder_that_is_missing_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be written"):
        maps().save(tmp_path / "missing" / "file")


# Notebooks ---------------------------------------------------------------------------------------


def test_a_result_is_a_table_in_notebooks() -> None:
    html = study()._repr_html_()
    assert "Study: 2 images, 2 methods" in html
    assert html.count("<tr>") == 4
    assert "legrad" in html
    assert "–" in html  # NaN


def test_a_long_table_is_cut() -> None:
    html = table({"n": range(25)}, limit=10)
    assert html.count("<tr>") == 11
    assert "and 15 more rows" in html
    assert "<table" in table({})


def test_text_of_models_and_users_is_escaped() -> None:
    bad = "<script>alert('&\"')</script>"
    result = Study(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1), (bad,))
    for html in (
        result._repr_html_(),
        block(bad),
        table({bad: [bad]}),
        heat_map(torch.ones(2, 2), title=bad, caption=bad),
        heat_maps(torch.ones(1, 2, 2), [bad]),
    ):
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert "'&\"'" not in html


def picture(html: str) -> Image.Image:
    (data,) = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_heat_map_shows_every_value_and_its_range() -> None:
    html = heat_map(torch.tensor([[0.0, 1.0], [NAN, 2.0]]), caption="layer x head")
    pixels = np.asarray(picture(html))
    side = pixels.shape[0]
    assert pixels.shape == (side, side, 4)
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners[:, 3].tolist() == [255, 255, 0, 255]
    assert corners[0, :3].tolist() == [0x44, 0x01, 0x54]
    assert corners[3, :3].tolist() == [0xFD, 0xE7, 0x25]
    assert "layer x head, 0 to 2" in html


def test_a_heat_map_of_both_signs_is_pale_at_0() -> None:
    html = heat_map(torch.tensor([[-1.0, 0.0, 3.0]]))
    pixels = np.asarray(picture(html))[0]
    assert pixels[len(pixels) // 2, :3].tolist() == [0xF2, 0xF2, 0xF2]
    assert pixels[-1, 0] > pixels[-1, 2]  # red
    assert pixels[0, 2] > pixels[0, 0]  # blue
    assert "-3 to 3" in html


@pytest.mark.parametrize("values", [torch.full((2, 2), NAN), torch.ones(2, 2), torch.ones(300, 1)])
def test_a_heat_map_of_anything(values: Tensor) -> None:
    assert picture(heat_map(values)).size[1] >= len(values)


def test_many_heat_maps_are_cut() -> None:
    html = heat_maps(torch.rand(11, 2, 2), [f"map {i}" for i in range(11)], limit=8)
    assert html.count("<img") == 8
    assert "and 3 more maps" in html


def test_notebooks_need_no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def guarded(name: str, *args: Any, **kwargs: Any) -> Any:
        assert name.partition(".")[0] not in ("matplotlib", "pandas", "xarray")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert study()._repr_html_()
    assert heat_map(torch.rand(2, 2))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_only_files_are_read_and_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path):
        for use in (Maps.load, maps().save, maps().to_csv):
            with pytest.raises(ParameterError, match=rf"{path}.*not a file"):
                use(path)


def test_the_mode_of_a_file_stays(tmp_path: Path) -> None:
    for name, write in (("a.csv", study().to_csv), ("a.safetensors", study().save)):
        path = tmp_path / name
        path.write_bytes(b"old")
        path.chmod(0o640)
        write(path)
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.read_bytes() != b"old"


def test_a_full_disk_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.csv"
    study().to_csv(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (study().to_csv, study().save):
        with pytest.raises(ParameterError, match=r"study\.csv cannot be written: .*No space left"):
            write(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_text_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-cmd", "@sum", "\tx", "plain", "a=b"]
    rows = [{"name": text, "=head": -1.5, "count": -3} for text in texts]
    write_csv(tmp_path / "table.csv", rows)
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [
        "'=1+1",
        "'+1",
        "'-cmd",
        "'@sum",
        "'\tx",
        "plain",
        "a=b",
    ]
    assert {(row["'=head"], row["count"]) for row in read} == {("-1.5", "-3")}


def test_a_bank_with_features_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    samples = torch.zeros(4)
    bank = vaw.targets.MemoryBank(
        torch.full((2, 3), torch.nan), torch.tensor([0, 1]), ["a", "b"],
        ModelFingerprint("vit", (2, 2), samples),
    )  # fmt: skip
    bank.save(tmp_path / "bank")
    with pytest.raises(ParameterError, match=r"bank is damaged: its features hold NaN"):
        vaw.targets.MemoryBank.load(tmp_path / "bank")
