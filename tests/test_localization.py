"""Maps against masks: scikit-learn, literal twins, and the cases at the edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from reference import evaluation as literal
from sklearn.metrics import average_precision_score
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.errors import ImageError, ParameterError
from vit_attention_widget.evaluation import energy_inside, iou, pointing_game
from vit_attention_widget.evaluation.masks import place_mask

FUNCTIONS = {
    "pointing": pointing_game,
    "energy": energy_inside,
    "iou_mean": iou,
    "iou_best": lambda *a: iou(*a, threshold="best"),
    "average_precision": evaluation.average_precision,
}


def some(seed: int, levels: int | None = None) -> tuple[Tensor, Tensor]:
    """Three maps and masks of 9 x 7 pixels; few levels make many values equal."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, 9, 7))
    if levels:
        maps = np.floor(levels * rng.random((3, 9, 7)))
    return torch.from_numpy(maps), torch.from_numpy(rng.random((3, 9, 7)) < 0.3)


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("seed", range(4))
def test_agree_with_the_literal_twins(seed: int, levels: int | None) -> None:
    maps, masks = some(seed, levels)
    for i, (heat, mask) in enumerate(zip(maps.numpy(), masks.numpy(), strict=True)):
        for name in ("pointing", "energy", "iou_mean", "iou_best"):
            expected = getattr(literal, name)(heat, mask)
            assert float(FUNCTIONS[name](maps, masks)[i]) == pytest.approx(expected, abs=1e-12)
        value = float(evaluation.average_precision(maps, masks)[i])
        assert value == pytest.approx(average_precision_score(mask.flatten(), heat.flatten()))


@pytest.mark.parametrize("seed", range(3))
def test_pixels_that_do_not_count_are_as_if_they_were_not_there(seed: int) -> None:
    maps, masks = some(seed, 5)
    counted = torch.from_numpy(np.random.default_rng(seed + 50).random((3, 9, 7)) < 0.8)
    for name, function in FUNCTIONS.items():
        scored = function(maps, masks, counted)
        for i in range(3):
            alone = [maps[i][counted[i]].view(1, 1, -1), masks[i][counted[i]].view(1, 1, -1)]
            assert float(scored[i]) == pytest.approx(float(function(*alone)[0])), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_best_map_is_the_mask(name: str) -> None:
    _, masks = some(1)
    assert FUNCTIONS[name](masks.double(), masks).tolist() == [1, 1, 1]
    worst = FUNCTIONS[name]((~masks).double(), masks)
    assert (worst < 0.5).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scale_and_offset_do_not_matter(name: str) -> None:
    maps, masks = some(2)
    torch.testing.assert_close(FUNCTIONS[name](5 * maps + 11, masks), FUNCTIONS[name](maps, masks))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7])
def test_a_constant_map_scores_as_guessing(value: float) -> None:
    _, masks = some(3)
    share = masks.double().mean((1, 2))
    flat = torch.full(masks.shape, value, dtype=torch.float64)
    for name, function in FUNCTIONS.items():
        expected = share * 0 if name == "iou_mean" else share
        torch.testing.assert_close(function(flat, masks), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_an_object_there_is_no_value(name: str) -> None:
    maps, masks = some(4)
    masks[1] = False
    scores = FUNCTIONS[name](maps, masks)
    assert scores.isnan().tolist() == [False, True, False]
    masks[1] = True  # all of the picture is the object
    expected = 1.0 if name != "iou_mean" else float((maps[1] > maps[1].mean()).double().mean())
    assert float(FUNCTIONS[name](maps, masks)[1]) == pytest.approx(expected)


def test_tolerance_of_the_pointing_game() -> None:
    maps, masks = torch.zeros(1, 12, 12), torch.zeros(1, 12, 12, dtype=torch.bool)
    maps[0, 2, 3], masks[0, 5, 7] = 1, True  # 3 down, 4 right: 5 pixels away
    for tolerance, hit in ((0, 0), (4, 0), (5, 1), (30, 1)):
        assert float(pointing_game(maps, masks, tolerance=tolerance)) == hit
    for y, x in np.ndindex(12, 12):
        point = torch.zeros(1, 12, 12)
        point[0, y, x] = 1
        near = (y - 5) ** 2 + (x - 7) ** 2 <= 9
        assert float(pointing_game(point, masks, tolerance=3)) == near
    with pytest.raises(ParameterError, match="-1"):
        pointing_game(maps, masks, tolerance=-1)


def test_what_is_refused() -> None:
    maps, masks = some(5)
    with pytest.raises(ParameterError, match="NaN"):
        evaluation.average_precision(maps / 0, masks)
    with pytest.raises(ParameterError, match="bool"):
        energy_inside(maps, masks.float())
    with pytest.raises(ParameterError, match=r"\[3, 9, 6\].*one size"):
        iou(maps[..., :6], masks)
    with pytest.raises(ParameterError, match=r"'otsu'.*'mean' or 'best'"):
        iou(maps, masks, threshold="otsu")
    with pytest.raises(ParameterError, match="no pixel counts"):
        iou(maps, masks, torch.zeros_like(masks))


# Masks to the model's pixels ---------------------------------------------------------------------


def placed(image: object, mask: object, **options: object) -> tuple[Tensor, Tensor]:
    vit = vaw.describe(vaw.demo.load_model())
    return place_mask(vit, image, mask, vit.prepare([image])[0], **options)


def test_a_mask_goes_the_way_of_its_picture() -> None:
    """A wide picture is cropped to its middle: so is its mask."""
    picture = np.zeros((40, 120, 3), np.uint8)
    mask = np.zeros((40, 120), bool)
    picture[10:30, 50:70], mask[10:30, 50:70] = 255, True
    mask[:, :30] = True  # cropped away
    on, counted = placed(picture, mask)
    assert counted.all()
    vit = vaw.describe(vaw.demo.load_model())
    white = vit.prepare(picture)[0].mean(0) > 0
    assert torch.equal(on, white)
    assert int(on.sum()) == 40 * 40


def test_masks_of_any_kind(tmp_path: object) -> None:
    scene = vaw.demo.scene(seed=1)
    expected = torch.from_numpy(scene.mask)
    path = f"{tmp_path}/mask.png"
    Image.fromarray(scene.mask.astype(np.uint8) * 255).save(path)
    ways = [
        scene.mask,
        torch.from_numpy(scene.mask),
        scene.mask.astype(np.uint8),
        scene.mask.astype(np.float32),
        scene.mask[None].astype(np.uint8) * 255,
        Image.fromarray(scene.mask),
        Image.open(path),
        path,
    ]
    for way in ways:
        on, counted = placed(scene.image, way)
        assert torch.equal(on, expected)
        assert counted.all()
    inputs = vaw.describe(vaw.demo.load_model()).prepare(scene.image)[0]
    assert torch.equal(placed(inputs, scene.mask)[0], expected)
    on, counted = placed(scene.image, None)
    assert not on.any()
    assert counted.all()


def test_a_border_can_be_left_out() -> None:
    scene = vaw.demo.scene(seed=1)
    mask = np.where(scene.mask, 255, 0)
    mask[:, :20] = 128
    on, counted = placed(scene.image, mask, ignore=128)
    assert not counted[:, :20].any()
    assert counted[:, 20:].all()
    assert torch.equal(on[:, 20:], torch.from_numpy(scene.mask)[:, 20:])
    assert not on[:, :20].any()


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (np.ones((40, 60), bool), ParameterError, "40 x 60.*80 x 80.*resize"),
        (np.ones((80, 80, 3), bool), ParameterError, r"\[80, 80, 3\].*\[height, width\]"),
        (np.full((80, 80), 3), ParameterError, "3 to 3.*mask == 1"),
        (np.full((80, 80), -0.5), ParameterError, "-0.5"),
        (np.full((80, 80), np.nan), ParameterError, "NaN"),
        ("nowhere/mask.png", ImageError, "nowhere/mask.png"),
    ],
)
def test_masks_that_are_refused(mask: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        placed(vaw.demo.scene(seed=1).image, mask)
