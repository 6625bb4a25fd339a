"""Attention patterns against a literal twin, and on heads whose pattern was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from models import NAMES
from numpy.typing import NDArray
from reference import patterns as literal
from torch import Tensor
from twins import agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.patterns import PatternFamily, pool_heads
from vit_attention_widget.patterns.autoencoder import fit_autoencoder
from vit_attention_widget.patterns.clusters import adjusted_rand_index
from vit_attention_widget.tracing.layer_record import LayerRecord

PLANTED = ("self", "neighbors", "row", "column", "uniform", "sink", "class token")


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_scores(name: str) -> None:
    pair = twins(name)
    tokens = pair.trace.tokens
    pooled = pool_heads(pair.trace)
    grid = tokens.num_prefix, tokens.rows, tokens.cols
    assert ("class" in pooled) == ("class" in tokens.prefix)
    for index, (image, layer, head) in enumerate(pooled["patches"].heads.tolist()):
        if image or layer == 1:  # the literal way takes long
            continue
        attention = pair.record.attention[layer][image, head].detach()
        agree(pooled["patches"].vectors[index], literal.patch_vector(attention, *grid))
        scores = literal.patch_scores(attention, tokens.prefix, tokens.rows, tokens.cols)
        agree(pooled["patches"].scores[index], torch.tensor(scores, dtype=torch.float64))
        if "class" in pooled:
            vector = literal.class_vector(attention, *grid, 0)
            agree(pooled["class"].vectors[index], vector)
            scores = literal.class_scores(attention, tokens.num_prefix, 0)
            agree(pooled["class"].scores[index], torch.tensor(scores, dtype=torch.float64))


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("name", ["vit", "dinov2-registers", "vit-non-square"])
def test_the_size_of_a_chunk_does_not_matter(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = twins(name)
    whole = pool_heads(pair.trace)
    chunks = vaw.Trace.attention_chunks
    monkeypatch.setattr(vaw.Trace, "attention_chunks", lambda t, layer: chunks(t, layer, size))
    for family, parts in pool_heads(pair.trace).items():
        agree(parts.vectors, whole[family].vectors, 1e-12)
        agree(parts.scores, whole[family].scores, 1e-12)
        assert parts.heads.equal(whole[family].heads)


def template(what: str, rows: int, cols: int, generator: torch.Generator) -> Tensor:
    """Attention [token, token] of a head that does one thing, class token first, never exactly."""
    count = rows * cols
    row = torch.arange(count) // cols
    col = torch.arange(count) % cols
    far = torch.maximum((row[:, None] - row).abs(), (col[:, None] - col).abs())
    sinks = torch.randperm(count, generator=generator)[:2]
    between = {
        "self": far == 0,
        "neighbors": far == 1,
        "row": row[:, None] == row,
        "column": col[:, None] == col,
        "sink": torch.zeros(count, count, dtype=torch.bool).index_fill(1, sinks, True),
        "class token": torch.zeros(count, count, dtype=torch.bool),
    }.get(what, torch.ones(count, count, dtype=torch.bool))
    whole = torch.zeros(count + 1, count + 1)
    whole[1:, 1:] = between
    whole[1:, 0] = 20.0 if what == "class token" else 0.02
    whole[0] = torch.rand(count + 1, generator=generator)
    whole += 0.01 * torch.rand(whole.shape, generator=generator)
    return whole / whole.sum(-1, keepdim=True)


def planted(images: int, seed: int = 0, rows: int = 7, cols: int = 7) -> list[vaw.Trace]:
    """Traces of a ViT whose head h of every layer does ``PLANTED[h]``."""
    heads = len(PLANTED)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=(16 * rows, 16 * cols),
        embed_dim=heads * 8,
        num_heads=heads,
        depth=2,
        num_classes=3,
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    plain = vaw.trace(model, torch.zeros(1, 3, 16 * rows, 16 * cols), gradients=False)
    return [_with(plain, rows, cols, generator) for _ in range(images)]


def _with(plain: vaw.Trace, rows: int, cols: int, generator: torch.Generator) -> vaw.Trace:
    def layer(record: LayerRecord) -> LayerRecord:
        heads = [template(what, rows, cols, generator) for what in PLANTED]
        scores = torch.stack(heads)[None].log()  # softmax(0 + log A) = A
        return replace(record, q=torch.zeros_like(record.q), bias=scores)

    layers = [layer(record) for record in plain.layers]
    return vaw.Trace(replace(plain.forward_pass, layers=layers), plain.target)


@pytest.fixture(scope="module")
def fitted() -> vaw.AttentionPatterns:
    return vaw.AttentionPatterns(seeds=2).fit(planted(20))


@pytest.mark.slow
def test_planted_heads_fall_into_rightly_named_clusters(fitted: vaw.AttentionPatterns) -> None:
    family = fitted.family()
    for head, what in enumerate(PLANTED):
        clusters = {
            fitted.clusters[label].name.split(",")[0]
            for label in family.labels[family.heads[:, 2] == head]
        }
        assert clusters == {what}
    assert family.stability > 0.9


@pytest.mark.slow
def test_the_autoencoder_is_better_than_pca(fitted: vaw.AttentionPatterns) -> None:
    """On attention that was planted at random PCA cannot be beaten; on a real model's it must."""
    scenes = [vaw.demo.scene(seed=s).image for s in range(40)]
    real = vaw.AttentionPatterns(seeds=1).fit(vaw.demo.load_model(), scenes)
    for _, family in real:
        assert family.reconstruction_error < 0.97 * family.pca_error


def test_the_autoencoder_is_the_same_whatever_the_default_type() -> None:
    vectors = torch.rand(24, 9, generator=torch.Generator().manual_seed(0))
    held_out, before = torch.arange(24) % 3 == 0, torch.get_default_dtype()
    errors = []
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            errors.append(fit_autoencoder(vectors, held_out, 2, seed=0).error)
        finally:
            torch.set_default_dtype(before)
    assert errors == pytest.approx([errors[0]] * 3, rel=1e-4)


@pytest.mark.slow
def test_reconstruction_keeps_the_pattern(fitted: vaw.AttentionPatterns) -> None:
    picture = fitted.reconstruct(1, PLANTED.index("self"), image=3)
    assert picture.shape == (49, 49)
    assert np.diag(picture).mean() > 0.5
    assert fitted.reconstruct(0, 0, family="class").shape == (14, 28)


@pytest.mark.slow
def test_heads_like_this_one(fitted: vaw.AttentionPatterns) -> None:
    for head in range(len(PLANTED)):
        layer, other, distance = fitted.nearest(0, head)[0]
        assert (layer, other) == (1, head)
        assert distance > 0
    assert len(fitted.nearest(0, 0, count=None)) == 2 * len(PLANTED) - 1
    assert fitted.nearest(0, 2, image=5, family="patches")[0][:2] == (1, 2)


@pytest.mark.slow
def test_new_heads_are_placed_among_those_like_them(fitted: vaw.AttentionPatterns) -> None:
    [other] = planted(1, seed=99)
    family = fitted.family()
    placed = family.place(pool_heads(other)["patches"])
    for i, (_, _, head) in enumerate(placed.heads):
        name = fitted.clusters[placed.labels[i]].name
        assert name.split(",")[0] == PLANTED[head]
        if PLANTED[head] == "sink":  # each at patches of its own: like no other sink
            continue
        alike = family.embedding[family.heads[:, 2] == head]
        nearest = np.linalg.norm(family.embedding - placed.points[i], axis=1).argmin()
        assert family.heads[nearest, 2] == head
        assert np.linalg.norm(alike - placed.points[i], axis=1).min() < 0.2
    assert placed.patterns.shape == (2 * len(PLANTED), 49, 49)


def points_of(family: PatternFamily, image: int) -> NDArray[np.float32]:
    """Where the heads of an image are on the map; those that are one to the bit, between them."""
    same = (family.codes[family.heads[:, 0] == image][:, None] == family.codes).all(-1)
    return np.asarray(same @ family.embedding / same.sum(1, keepdims=True), np.float32)


@pytest.mark.slow
def test_a_head_of_the_set_is_placed_where_it_was(patterns: vaw.AttentionPatterns) -> None:
    trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=2).image, gradients=False)
    for name, placed in patterns.place(trace).items():
        family = patterns.family(name)
        here = family.heads[:, 0] == 2
        assert np.allclose(placed.points, points_of(family, 2), atol=0.05)
        assert (placed.labels == family.labels[here]).mean() > 0.9


@pytest.mark.slow
def test_the_same_seed_makes_the_same_map_and_leaves_the_random_numbers_alone() -> None:
    model, scenes = vaw.demo.load_model(), [vaw.demo.scene(seed=s).image for s in range(5)]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = vaw.AttentionPatterns(seeds=1, seed=4).fit(model, scenes)
    assert torch.get_rng_state().equal(state)
    other = vaw.AttentionPatterns(seeds=1, seed=4).fit(model, scenes)
    assert np.array_equal(one.embedding, other.embedding)
    assert np.array_equal(one.family("class").codes, other.family("class").codes)


@pytest.mark.slow
def test_save_and_load(patterns: vaw.AttentionPatterns, tmp_path: Path) -> None:
    model = vaw.demo.load_model()
    patterns.save(tmp_path / "map.safetensors")
    again = vaw.AttentionPatterns.load(tmp_path / "map.safetensors", model)
    assert again.summary() == patterns.summary()
    assert again.nearest(1, 2) == patterns.nearest(1, 2)
    assert np.array_equal(again.reconstruct(5, 3, 4), patterns.reconstruct(5, 3, 4))
    trace = vaw.trace(model, vaw.demo.scene(seed=9).image, gradients=False)
    for name, placed in patterns.place(trace).items():
        assert np.array_equal(placed.points, again.place(trace)[name].points)
    model.blocks[0].attn.qkv.weight.data.mul_(1.2)
    with pytest.raises(ParameterError, match="the weights differ"):
        again.check(model)
    with pytest.raises(ParameterError, match="another model"):
        vaw.AttentionPatterns.load(
            tmp_path / "map.safetensors", timm.create_model("deit_tiny_patch16_224")
        )
    half = vaw.demo.load_model().bfloat16()
    again.check(half)


def test_files_that_hold_no_map(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("no map")
    with pytest.raises(ParameterError, match="safetensors"):
        vaw.AttentionPatterns.load(tmp_path / "text")
    save_file({"weights": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ParameterError, match="no patterns: write it with"):
        vaw.AttentionPatterns.load(tmp_path / "weights.safetensors")


@pytest.fixture(scope="module")
def of_one_image() -> vaw.AttentionPatterns:
    return vaw.AttentionPatterns(seeds=1).fit(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)


@pytest.mark.slow
def test_one_image(of_one_image: vaw.AttentionPatterns) -> None:
    assert of_one_image.embedding.shape == (24, 2)
    assert np.isfinite(of_one_image.embedding).all()
    assert sum(cluster.size for cluster in of_one_image.clusters) == 24


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])  # 1 once had no principal axes
def test_one_head_and_no_class_token(seed: int) -> None:
    torch.manual_seed(seed)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=64,
        num_heads=1,
        embed_dim=16,
        depth=2,
        class_token=False,
        global_pool="avg",
        num_classes=3,
    ).eval()
    patterns = vaw.AttentionPatterns(seeds=1).fit(model, torch.randn(4, 3, 64, 64))
    assert list(patterns.families) == ["patches"]
    assert patterns.nearest(0, 0)[0][:2] == (1, 0)
    with pytest.raises(ParameterError, match="no class token"):
        patterns.family("class")


@pytest.mark.slow
def test_images_of_different_sizes() -> None:
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=64,
        num_heads=2,
        embed_dim=16,
        depth=2,
        num_classes=3,
        dynamic_img_size=True,
    ).eval()
    sizes = [(64, 64), (64, 96), (96, 64), (32, 48), (64, 64)]
    patterns = vaw.AttentionPatterns(seeds=1).fit(model, [torch.randn(3, *s) for s in sizes])
    assert len(patterns.embedding) == 5 * 4


def test_too_few_heads() -> None:
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, num_heads=1, embed_dim=8, depth=2, num_classes=3
    ).eval()
    with pytest.raises(ParameterError, match="at least 4"):
        vaw.AttentionPatterns().fit(model, torch.randn(1, 3, 32, 32))
    with pytest.raises(ParameterError, match=r"AttentionPatterns\(\).fit"):
        vaw.AttentionPatterns.fit(model, torch.randn(1, 3, 32, 32))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("label", ["looking", "learning", "arranging"])
def test_a_fit_that_is_cancelled_leaves_what_was_there(
    label: str, of_one_image: vaw.AttentionPatterns
) -> None:
    model, patterns = vaw.demo.load_model(), of_one_image
    before = patterns.embedding

    def stop(fraction: float, now: str) -> None:
        assert 0 <= fraction <= 1
        if now.startswith(label):
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        patterns.fit(model, [vaw.demo.scene(seed=s).image for s in range(3)], progress=stop)
    assert patterns.embedding is before


@pytest.mark.slow
def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="latent is 1"):
        vaw.AttentionPatterns(1)
    with pytest.raises(ParameterError, match="fit"):
        _ = vaw.AttentionPatterns().embedding
    model = vaw.demo.load_model()
    patterns = vaw.AttentionPatterns(seeds=1, clusters=3).fit(model, vaw.demo.scene(seed=1).image)
    assert len(patterns.clusters) == 3
    with pytest.raises(ParameterError, match="no head 9"):
        patterns.nearest(0, 9)
    with pytest.raises(ParameterError, match="of image 3"):
        patterns.reconstruct(0, 0, 3)
    with pytest.raises(ParameterError, match="no family"):
        patterns.family("tokens")
    with pytest.raises(ParameterError, match="beside traces"):
        patterns.fit(vaw.trace(model, vaw.demo.scene(seed=1).image), ["more"])


def test_agreement_is_the_adjusted_rand_index() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    assert adjusted_rand_index(labels, (labels + 1) % 3) == 1


def test_tables_files_and_pictures(fitted: vaw.AttentionPatterns, tmp_path: Path) -> None:
    for library in ("matplotlib", "pandas", "xarray"):
        pytest.importorskip(library)
    family = fitted.family("patches")
    assert torch.equal(fitted.values, torch.from_numpy(fitted.embedding))
    frame = fitted.to_dataframe()
    assert len(frame) == len(family)
    assert frame[["image", "layer", "head"]].values.tolist() == family.heads.tolist()
    assert frame["cluster"].tolist() == family.labels.tolist()
    assert frame["sink"].tolist() == family.scores[:, family.family.roles.index("sink")].tolist()
    assert fitted.to_xarray(family="class")["code"].dims == ("point", "dim")
    fitted.to_csv(tmp_path / "map.csv")
    assert len((tmp_path / "map.csv").read_text().splitlines()) == len(family) + 1
    axes = fitted.plot()
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == len(family)
    for html in (fitted._repr_html_(), family._repr_html_()):
        assert family.clusters[0].name in html
        assert "below PCA" in html
    family.save(tmp_path / "family.safetensors")
    again = type(family).load(tmp_path / "family.safetensors")
    assert again.family is family.family
    assert np.array_equal(again.reconstruct(1, 3, 4), family.reconstruct(1, 3, 4))
    [other] = planted(1, seed=99)
    placed = family.place(pool_heads(other)["patches"])
    placed.save(tmp_path / "placed.safetensors")
    loaded = type(placed).load(tmp_path / "placed.safetensors")
    assert np.array_equal(loaded.values, placed.values)
    assert loaded.to_dataframe().equals(placed.to_dataframe())
    assert sum(len(dots.get_offsets()) for dots in placed.plot().collections) == len(placed)


def test_maps_of_the_first_release_are_read(fitted: vaw.AttentionPatterns, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    key = "vit_attention_widget.patterns"
    fitted.save(tmp_path / "map.safetensors")
    with safe_open(tmp_path / "map.safetensors", "pt") as file:
        text = file.metadata()[key]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for new, old in (
        ("neighbors", "neighbours"),
        ("toward", "towards"),
        ("attended to", "looked at"),
    ):
        text = text.replace(new, old)
    save_file(tensors, tmp_path / "old.safetensors", {key: text})
    again = vaw.AttentionPatterns.load(tmp_path / "old.safetensors")
    assert again.summary() == fitted.summary()
    assert [c.scores for c in again.clusters] == [c.scores for c in fitted.clusters]
    del tensors["patches.codes"]
    save_file(tensors, tmp_path / "old.safetensors", {key: text})
    with pytest.raises(ParameterError, match="damaged"):
        vaw.AttentionPatterns.load(tmp_path / "old.safetensors")
