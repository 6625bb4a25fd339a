"""Attention inside shifted windows: against a slow twin, laid out in the image, or refused."""

from __future__ import annotations

import copy
import csv
import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import timm
import torch
from models import randomise
from reference.windows import SlowBlock, regions_of, slow_blocks, windows_of
from renamed import warned
from snapshots import untouched
from timm.layers import set_fused_attn
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.capture.function_mode import Capture
from vit_attention_widget.demo.model import WEIGHTS
from vit_attention_widget.errors import (
    CaptureError,
    ImageError,
    ParameterError,
    TokenLayoutError,
    UnsupportedModelError,
)
from vit_attention_widget.windows.layout import WindowLayout

mpl.use("Agg")

SMALL = {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 4), "num_classes": 5}
FIRST, SECOND, CR = "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "swinv2_cr_tiny_224"

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "whole windows": (FIRST, {"img_size": 32, "window_size": 4}),
    "padded": (FIRST, {"img_size": (40, 24), "window_size": 4}),
    "seen across the border": (FIRST, {"img_size": (52, 36), "window_size": 7, "depths": (2,)}),
    "any size": (FIRST, {"img_size": 32, "window_size": 4, "strict_img_size": False}),
    "oblong windows": (FIRST, {"img_size": (48, 40), "window_size": [(3, 5), (2, 3)]}),
    "fused": (FIRST, {"img_size": (40, 24), "window_size": 4}),
    "second": (SECOND, {"img_size": (40, 24), "window_size": 4}),
    "second, whole windows": (SECOND, {"img_size": (32, 64), "window_size": 4}),
    "second, one window": (SECOND, {"img_size": 16, "window_size": 4}),
    "cr, whole windows": (CR, {"img_size": (32, 64), "window_size": 4}),
    "cr": (CR, {"img_size": (40, 24), "window_size": 4}),
}
QUICK = {"padded", "any size", "second", "cr"}
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
SIZES = {"any size": (24, 56)}


@cache
def built(name: str) -> nn.Module:
    architecture, options = MODELS[name]
    settings = {**SMALL, **options}
    settings["num_heads"] = settings["num_heads"][: len(settings["depths"])]
    set_fused_attn(True, experimental=name == "fused")
    try:
        model = timm.create_model(architecture, pretrained=False, **settings)
    finally:
        set_fused_attn(True)
    randomise(model)
    return model.double().eval()


def inputs_of(name: str, batch: int = 2) -> Tensor:
    size = SIZES.get(name) or built(name).patch_embed.img_size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator, dtype=torch.float64)


@cache
def found_in(name: str) -> vaw.WindowAttention:
    return vaw.window_attention(built(name), inputs_of(name))


@cache
def twins_of(name: str) -> list[tuple[SlowBlock, Tensor]]:
    with torch.no_grad():
        return [(twin, twin.attention()) for twin in slow_blocks(built(name), inputs_of(name))]


def close(a: Tensor, b: Tensor, name: str = "") -> None:
    # The second version's table of coordinates was rounded to float32 when timm built it.
    rounded = name.startswith(("second", "cr"))
    torch.testing.assert_close(
        a, b, rtol=1e-5 if rounded else 1e-9, atol=1e-6 if rounded else 1e-12
    )


# --- where tokens lie ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "geometry",
    [
        (8, 8, (4, 4), (0, 0)),
        (8, 8, (4, 4), (2, 2)),
        (10, 6, (4, 4), (2, 2)),
        (13, 9, (7, 7), (3, 3)),
        (7, 5, (3, 2), (1, 0)),
        (3, 3, (4, 4), (2, 2)),
        (1, 5, (1, 2), (0, 1)),
    ],
)
def test_layout_against_loops(geometry: tuple[Any, ...]) -> None:
    layout, expected = WindowLayout(*geometry), windows_of(*geometry)
    assert layout.num_windows == len(expected)
    assert layout.window_tokens == len(expected[0])
    numbers = torch.full((layout.num_windows, layout.window_tokens), -1)
    for w, tokens in enumerate(expected):
        for i, place in enumerate(tokens):
            assert bool(layout.is_token[w, i]) == (place is not None)
            if place is not None:
                assert layout.place(*place) == (w, i)
                numbers[w, i] = place[0] * layout.cols + place[1]
    grid = torch.arange(layout.rows * layout.cols).view(layout.rows, layout.cols)
    assert torch.equal(layout.to_grid(numbers), grid)
    assert torch.equal(layout.to_grid(numbers.expand(2, 3, -1, -1))[1, 2], grid)


def test_a_place_that_the_grid_has_not() -> None:
    layout = WindowLayout(3, 5, (2, 2), (1, 1))
    for place in ((3, 0), (0, 5), (-1, 0), (0.5, 0), ("a", 0)):
        with pytest.raises(TokenLayoutError, match="rows 0 to 2 and columns 0 to 4"):
            layout.place(*place)  # type: ignore[arg-type]


# --- against the twin ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_is_what_the_model_does(name: str) -> None:
    with torch.no_grad():
        for twin, _ in twins_of(name):
            run = getattr(twin.block, "_attn", None) or twin.block._shifted_window_attn
            close(twin.branch(), run(twin.tokens), name)


@pytest.mark.parametrize("name", NAMES)
def test_attention(name: str) -> None:
    windows, twins = found_in(name), twins_of(name)
    assert len(windows.blocks) == len(twins)
    for block, (twin, expected) in enumerate(twins):
        one = windows.blocks[block]
        assert (one.rows, one.cols) == (twin.rows, twin.cols)
        assert (one.window, one.shift, one.num_heads) == (twin.window, twin.shift, twin.heads)
        attention = windows.attention(block)
        close(attention, expected, name)
        close(attention.sum(-1), torch.ones(attention.shape[:-1], dtype=torch.float64))
        close(windows.attention(block, head=1), expected[:, :, 1], name)


@pytest.mark.parametrize("name", NAMES)
def test_maps_of_every_patch(name: str) -> None:
    windows = found_in(name)
    for block, (twin, attention) in enumerate(twins_of(name)):
        for row in range(twin.rows):
            for col in range(twin.cols):
                expected = twin.from_patch(attention, row, col)
                close(windows.from_patch(block, row, col), expected, name)
                inside = windows.window_of(block, row, col)
                assert not expected[..., ~inside].any()
                assert inside[row, col]
                assert int(inside.sum()) == sum(
                    place is not None
                    for tokens in twin.windows
                    if (row, col) in tokens
                    for place in tokens
                )
        close(windows.from_patch(block, 1, 1, head=0), twin.from_patch(attention, 1, 1)[:, 0], name)


@pytest.mark.parametrize("name", NAMES)
def test_received(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = found_in(name)
    for block, (twin, attention) in enumerate(twins_of(name)):
        expected = twin.received(attention)
        close(windows.received(block), expected, name)
        close(windows.received(block, head=1), expected[:, 1], name)
        monkeypatch.setattr("vit_attention_widget.windows.result._CHUNK", 1)  # a window at a time
        close(windows.received(block), expected, name)
        monkeypatch.undo()


def test_what_is_tried() -> None:
    """Shifts, padding, oblong grids, odd merges, and one bias for several images are all here."""
    blocks = [one for name in MODELS for one in found_in(name).blocks]
    assert any(any(one.shift) for one in blocks)
    assert any(not one.layout.is_token.all() and any(one.shift) for one in blocks)
    assert {(one.stage, one.index) for one in found_in("padded").blocks} == {
        (0, 0), (0, 1), (1, 0), (1, 1),
    }  # fmt: skip
    odd = found_in("padded").blocks[2]
    assert (odd.rows, odd.cols, odd.patch) == (5, 3, (8, 8))
    assert built("fused").layers[0].blocks[0].attn.fused_attn
    assert not built("padded").layers[0].blocks[0].attn.fused_attn
    assert found_in("fused").blocks[1].bias.shape[:2] == (1, 6)  # not once an image


@pytest.mark.parametrize("name", ["whole windows", "padded", "fused", "second", "cr"])
def test_the_mask_keeps_apart(name: str) -> None:
    windows, kept_apart = found_in(name), 0
    for block, (twin, _) in enumerate(twins_of(name)):
        regions = regions_of(twin.rows, twin.cols, twin.window, twin.shift)
        attention = windows.attention(block)
        for w, of_token in enumerate(regions):
            apart = torch.tensor([[a != b for b in of_token] for a in of_token])
            assert (attention[:, w, :, apart] < 1e-30).all()
            kept_apart += int(apart.sum())
    assert kept_apart > 0


def test_timms_mask_on_a_padded_grid_lets_tokens_see_across_the_border() -> None:
    """Said in the docstring: 13 rows in windows of 7 are cut at 14, so row 12 may see row 0."""
    values = found_in("seen across the border").from_patch(1, 12, 4)
    assert (values[:, :, 0].sum(-1) > 1e-6).all()


def test_whole_windows_sum_to_one_and_padding_takes_its_part() -> None:
    whole = found_in("whole windows").from_patch(1, 3, 3).sum((-2, -1))
    close(whole, torch.ones_like(whole))
    assert (found_in("padded").from_patch(0, 9, 5).sum((-2, -1)) < 0.9999).all()


def test_even_attention_is_received_evenly() -> None:
    model = copy.deepcopy(built("padded"))
    with torch.no_grad():
        for block in [b for stage in model.layers for b in stage.blocks]:
            block.attn.qkv.weight.zero_()
            block.attn.qkv.bias.zero_()
            block.attn.relative_position_bias_table.zero_()
    windows = vaw.window_attention(model, inputs_of("padded"))
    close(windows.received(0), torch.full((2, 2, 10, 6), 1 / 16, dtype=torch.float64))


class Written(nn.Module):
    """Attention in windows with a bias of each window's own, a scale a head, and a mask."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: Tensor, mask: Tensor):
        scores = (q @ k.transpose(-2, -1) + bias) * scale
        grouped = scores.view(-1, len(mask), *scores.shape[1:]) + mask[None, :, None]
        return grouped.view(scores.shape).softmax(-1) @ v


@pytest.mark.parametrize("shared", [False, True])
def test_written_out_attention_is_followed(shared: bool) -> None:
    generator = torch.Generator().manual_seed(2)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    model = Written()
    q, k, v = (noise(6, 2, 5, 3) for _ in range(3))
    with Capture(model, {}) as capture:
        out = model(q, k, v, noise(1 if shared else 6, 2, 5, 5), noise(2, 1, 1), noise(3, 5, 5))
    [call] = capture.attention_calls
    assert call.bias is not None
    scores = call.scale * (call.q @ call.k.transpose(-2, -1)) + call.bias
    close(scores.softmax(-1) @ call.v, out)


# --- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_untouched(name: str, training: bool) -> None:
    model, inputs = copy.deepcopy(built(name)), inputs_of(name)
    with torch.no_grad():
        expected = model(inputs)
    model.train(training)
    with untouched(model):
        windows = vaw.window_attention(model, inputs)
    assert torch.equal(windows.logits, expected)
    assert not windows.logits.requires_grad
    assert not windows.blocks[0].q.requires_grad


def test_untouched_when_it_fails() -> None:
    class Refuses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("on purpose")

    model = copy.deepcopy(built("padded")).train()
    model.layers[1].blocks[0].mlp = Refuses()
    with untouched(model), pytest.raises(RuntimeError, match="on purpose"):
        vaw.window_attention(model, inputs_of("padded"))


@pytest.mark.parametrize("name", ["padded", "fused", "second"])
def test_nothing_is_kept_but_queries_keys_and_biases(name: str) -> None:
    for one in found_in(name).blocks:
        for tensor in (one.q, one.k, one.bias):
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize


def test_checkpointing_inference_mode_and_wrappers() -> None:
    model, inputs = copy.deepcopy(built("padded")), inputs_of("padded")
    model.set_grad_checkpointing()
    with torch.inference_mode():
        windows = vaw.window_attention(nn.DataParallel(model), inputs.clone())
    assert torch.equal(windows.attention(3), found_in("padded").attention(3))
    assert "DataParallel" in windows.model.name


def test_half_precision_and_one_image() -> None:
    model = copy.deepcopy(built("padded")).to(torch.bfloat16)
    attention = vaw.window_attention(model, inputs_of("padded")[0]).attention(1)
    assert attention.dtype == torch.float32
    assert attention.shape[0] == 1
    torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))


def test_pictures_go_through_the_models_own_preprocessing() -> None:
    scene = vaw.demo.scene(seed=1).image
    windows = vaw.window_attention(built("whole windows"), [scene, scene])
    assert windows.inputs.shape == (2, 3, 32, 32)
    assert torch.equal(windows.attention(0)[0], windows.attention(0)[1])


# --- errors --------------------------------------------------------------------------------------


def test_what_does_not_exist() -> None:
    windows = found_in("padded")
    for block in (4, -5, "a", 1.0, None, True):
        with pytest.raises(ParameterError, match=r"There is no block .* 4, 0 to 3"):
            windows.attention(block)
    for head in (2, -1, 0.5, "a", True):
        with pytest.raises(ParameterError, match=r"There is no head .* 2, 0 to 1"):
            windows.received(1, head)
    with pytest.raises(TokenLayoutError, match="rows 0 to 4 and columns 0 to 2"):
        windows.from_patch(2, 5, 0)
    with pytest.raises(TokenLayoutError, match="rows 0 to 9"):
        windows.window_of(0, 10, 0)


def test_wrong_sizes() -> None:
    with pytest.raises(ImageError, match=r"32 x 32 pixels.*40 x 24"):
        vaw.window_attention(built("padded"), torch.zeros(3, 32, 32))
    with pytest.raises(ImageError, match="whole patches of 4 x 4"):
        vaw.window_attention(built("any size"), torch.zeros(3, 34, 32))
    with pytest.raises(ImageError, match="NaN"):
        vaw.window_attention(built("padded"), torch.full((3, 40, 24), torch.nan))


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("vit_tiny_patch16_224", "vaw.trace"),
        ("maxvit_tiny_tf_224", "convolutions"),
        ("hiera_tiny_224", "merged"),
        ("pvt_v2_b0", "downsampled"),
        ("resnet18", "no attention"),
        ("cait_xxs24_224", "heads are mixed"),
    ],
)
def test_other_models(architecture: str, words: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(architecture, pretrained=False)
    with pytest.raises(UnsupportedModelError, match=words) as caught:
        vaw.window_attention(model, torch.zeros(3, 32, 32))
    assert "swin_tiny_patch4_window7_224" in str(caught.value)


def test_no_model_and_other_channels() -> None:
    with pytest.raises(ParameterError, match="The model is a str"):
        vaw.window_attention("swin", torch.zeros(3, 32, 32))  # type: ignore[arg-type]
    gray = timm.create_model(FIRST, pretrained=False, in_chans=1, img_size=32, window_size=4)
    with pytest.raises(ImageError, match=r"\[1, height, width\]"):
        vaw.window_attention(gray, torch.zeros(3, 32, 32))
    attention = vaw.window_attention(gray, torch.randn(1, 32, 32))
    assert attention.model.picture(attention.inputs)[0].getbands() == ("R", "G", "B")


def test_attention_that_is_not_seen_is_not_guessed() -> None:
    class Average(nn.Module):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return x.mean(1, keepdim=True).expand_as(x)

    model = copy.deepcopy(built("padded"))
    model.layers[0].blocks[1].attn = Average()
    with pytest.raises(CaptureError, match=r"Block 1 .*none were seen"):
        vaw.window_attention(model, inputs_of("padded"))


def test_broken_weights() -> None:
    model = copy.deepcopy(built("padded"))
    with torch.no_grad():
        model.head.fc.weight.fill_(torch.inf)
    with pytest.raises(CaptureError, match="finite"):
        vaw.window_attention(model, inputs_of("padded"))


@pytest.mark.parametrize("name", ["whole windows", "second", "cr"])
def test_the_explainers_refusal_names_it(name: str) -> None:
    model = built(name)
    for use in (vaw.describe, lambda m: vaw.trace(m, inputs_of(name))):
        with pytest.raises(UnsupportedModelError, match=r"vaw.window_attention") as caught:
            use(model)
        assert "no class token" in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "why", "instead"),
    [
        ("maxvit_tiny_tf_224", "convolutions", "raw attention inside windows"),
        ("hiera_tiny_224", "do not share one patch grid", "raw attention"),
        ("pvt_v2_b0", "not the same tokens", "raw attention"),
        ("mvitv2_tiny", "pooled", "raw attention"),
        ("davit_tiny", "over channels in turn", "raw attention inside windows"),
        ("levit_128", "subsampled", "raw attention"),
        ("twins_svt_small", "downsampled keys", "raw attention inside windows"),
        ("coat_tiny", "factorized", "ever formed"),
        ("efficientvit_b0", "linear", "ever formed"),
        ("xcit_nano_12_p16_224", "channels", "class token"),
    ],
)
def test_refusals_say_why_and_what_there_is(architecture: str, why: str, instead: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(architecture, pretrained=False)
    with pytest.raises(UnsupportedModelError, match=why) as caught:
        vaw.describe(model)
    assert instead in str(caught.value)
    assert len(str(caught.value)) < 600


# --- the picture ---------------------------------------------------------------------------------


def test_plot() -> None:
    windows = found_in("padded")
    figure = windows.plot(place=(39.9, 23.9), blocks=[0, 1, 3], head=1, image=1).figure
    assert len(figure.axes) == 3
    for ax, block, patch in zip(figure.axes, [0, 1, 3], [4, 4, 8], strict=True):
        picture, drawn = ax.get_images()
        one = windows.blocks[block]
        row, col = int(39.9 // patch), int(23.9 // patch)
        expected = windows.from_patch(block, row, col, head=1)[1].float()
        values = drawn.get_array()
        torch.testing.assert_close(
            torch.tensor(values.filled(0)), expected.where(expected > 1e-12, 0)
        )
        assert values.mask[~windows.window_of(block, row, col).numpy()].all()
        assert drawn.get_extent() == [0, one.cols * patch, one.rows * patch, 0]
        assert picture.get_extent() == [0, 24, 40, 0]
        [box] = ax.patches
        assert box.get_xy() == (col * patch, row * patch)
    assert len([ax for ax in windows.plot().figure.axes if ax.get_images()]) == len(windows.blocks)
    assert len(windows.plot(blocks=2).figure.axes) == 1
    assert windows.plot(blocks=-1).get_title() == "block 3 (stage 1, shifted), 5 x 3"


def test_plot_into_given_axes() -> None:
    windows = found_in("padded")
    figure, (left, right) = mpl.pyplot.subplots(1, 2)
    assert windows.plot(left) is left  # the last block
    assert windows.plot(right, blocks=[0]) is right
    assert [ax.get_title().split(" (")[0] for ax in figure.axes] == ["block 3", "block 0"]
    with pytest.raises(ParameterError, match="2 blocks do not fit into one"):
        windows.plot(left, blocks=[0, 1])


def test_plot_in_the_old_order() -> None:
    windows = found_in("padded")
    new = "WindowAttention.plot(ax, place=..., blocks=..., head=...)"
    with warned(f"WindowAttention.plot(place, blocks, head) is now {new}"):
        ax = windows.plot((39.9, 23.9), [0, 1], 1)
    assert len(ax.figure.axes) == 2


def test_plot_refuses() -> None:
    windows = found_in("padded")
    with pytest.raises(ParameterError, match="rows 0 to 39 and columns 0 to 23"):
        windows.plot(place=(40, 0))
    with pytest.raises(ParameterError, match="There is no image 2"):
        windows.plot(image=2)
    with pytest.raises(ParameterError, match="There is no block 4"):
        windows.plot(blocks=[4])
    with pytest.raises(ParameterError, match="No block"):
        windows.plot(blocks=[])


# --- tables, files, notebooks --------------------------------------------------------------------


def test_tables(tmp_path: Path) -> None:
    windows = found_in("padded")
    frame = windows.to_dataframe()
    assert list(frame.columns) == ["image", "block", "stage", "head", "row", "col", "received"]
    data = windows.to_xarray()
    for number, block in enumerate(windows.blocks):
        expected = windows.received(number)
        rows = frame[frame.block == number]
        assert set(rows.stage) == {block.stage}
        torch.testing.assert_close(
            torch.tensor(rows.received.to_numpy()).view(expected.shape), expected.float()
        )
        stage = data[f"stage_{block.stage}"].sel({f"block_{block.stage}": number})
        assert stage.dims == (
            "image",
            *(f"{axis}_{block.stage}" for axis in ("head", "row", "col")),
        )
        torch.testing.assert_close(torch.tensor(stage.values), expected.float())
    assert frame.image.is_monotonic_increasing
    windows.to_csv(tmp_path / "windows.csv")
    with open(tmp_path / "windows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(frame)
    assert float(rows[7]["received"]) == pytest.approx(frame.received[7])


@pytest.mark.parametrize("name", NAMES)
def test_it_saves_and_loads(name: str, tmp_path: Path) -> None:
    windows = found_in(name)
    path = tmp_path / "windows.safetensors"
    windows.save(path)
    loaded = vaw.WindowAttention.load(path)
    assert repr(loaded) == repr(windows)
    assert torch.equal(loaded.logits, windows.logits)
    for number, (one, other) in enumerate(zip(loaded.blocks, windows.blocks, strict=True)):
        assert one.layout == other.layout
        assert (one.stage, one.index, one.patch) == (other.stage, other.index, other.patch)
        assert torch.equal(one.q, other.q)
        assert torch.equal(one.k, other.k)
        close(loaded.received(number), windows.received(number))  # strides differ, so does rounding
    one, other = (each.model.picture(each.inputs)[0].tobytes() for each in (loaded, windows))
    assert one == other
    assert len(loaded.plot().figure.axes) == len(windows.blocks)


def test_files_that_hold_no_windows(tmp_path: Path) -> None:
    windows = found_in("padded")
    with pytest.raises(ParameterError, match="no file"):
        vaw.WindowAttention.load(tmp_path / "missing")
    with pytest.raises(
        ParameterError, match=r"no window attention: write it with window_attention"
    ):
        vaw.WindowAttention.load(WEIGHTS)
    blocks = [dataclasses.replace(block, q=block.q[..., :-1, :]) for block in windows.blocks]
    dataclasses.replace(windows, blocks=tuple(blocks)).save(tmp_path / "damaged")
    with pytest.raises(ParameterError, match="damaged is damaged: the queries and keys of block 0"):
        vaw.WindowAttention.load(tmp_path / "damaged")


def test_a_notebook_shows_the_last_block_of_each_stage() -> None:
    html = found_in("padded")._repr_html_()
    assert html.count("<img") == 2
    assert "block 1 (stage 0)" in html
    assert "block 3 (stage 1)" in html
    assert "&lt;" not in html
