"""Parts of a widget's picture: each draws one thing that a session knows into axes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..session import Session
from ..session.payloads import METHOD_HINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["attention_of_token", "decision", "explanation", "importance", "over_picture", "said"]

_MOST_TICKS = 16


def said(session: Session) -> str:
    """What the selected maps are of."""
    label, target = METHOD_HINTS[session.method][0], session.decision.get("target_name", "")
    agnostic = session.method in session._model_info["class_agnostic"]
    return label if agnostic else f"{label}, {target}"


def over_picture(session: Session, ax: Axes, grid: NDArray[np.float32], most: float) -> None:
    """A map [row, col] over the picture, as strong as its values."""
    picture = Image.open(io.BytesIO(session._picture)).convert("RGB")
    extent = (0, picture.width, picture.height, 0)
    ax.imshow(picture, extent=extent, interpolation="bilinear")
    share = np.clip(grid / most, 0, 1) if most > 0 else np.zeros_like(grid)
    top, left, bottom, right = session._model_info["area"]
    width, height = picture.size
    patches = (left * width, right * width, bottom * height, top * height)
    ax.imshow(
        grid, extent=patches, cmap=session.colormap, vmin=0, vmax=most or 1,
        alpha=session.opacity * share, interpolation=session.interpolation,
    )  # fmt: skip
    ax.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])


def explanation(session: Session, ax: Axes) -> None:
    """The selected method's map of the selected layer."""
    maps = session.attributions.get(session.method)
    layer = session.selected_layer
    if maps is None:
        ax.imshow(Image.open(io.BytesIO(session._picture)))
        ax.set(xticks=[], yticks=[])
        return
    over_picture(session, ax, maps[layer], float(maps.max()))
    ax.set_title(f"{said(session)}, up to layer {layer}", fontsize=9)


def attention_of_token(session: Session, ax: Axes) -> None:
    """What the selected token attends to in the selected head."""
    trace = session.trace
    assert trace is not None
    layer, head, token = session.selected_layer, session.selected_head, session.selected_token
    rows = trace.attention(layer, query=token)[0].float().cpu().numpy()
    row = rows.mean(0) if head < 0 else rows[head]
    tokens = trace.tokens
    grid = row[-tokens.rows * tokens.cols :].reshape(tokens.rows, tokens.cols)
    over_picture(session, ax, grid, float(grid.max()))
    of = "mean of heads" if head < 0 else f"head {head}"
    prefix = session._model_info["prefix"]
    name = f"the {prefix[token]} token" if token < len(prefix) else f"patch {token - len(prefix)}"
    ax.set_title(f"layer {layer}, {of}: {name} attends to", fontsize=9)


def decision(session: Session, ax: Axes) -> None:
    """The likely classes, before and after pruning."""
    rows = session.decision["rows"][::-1]
    names = [_short(row["name"]) for row in rows]
    places = np.arange(len(rows))
    after = [row["before"] if row["after"] is None else row["after"] for row in rows]
    if any(row["after"] is not None for row in rows):
        ax.barh(
            places + 0.2, [row["before"] for row in rows], 0.35, color="#b8c4d6", label="before"
        )
        ax.barh(places - 0.2, after, 0.35, color="#2563eb", label="pruned")
        ax.legend(fontsize=8)
    else:
        ax.barh(places, after, 0.6, color="#2563eb")
    ax.set_yticks(places, names, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("decision", fontsize=9)


def importance(session: Session, ax: Axes) -> None:
    """Importance of the heads by the selected metric."""
    table = session.importance
    if table is None or not np.isfinite(table).any():
        ax.axis("off")
        ax.text(0.5, 0.5, "importance of heads:\nnot measured yet", ha="center", fontsize=8)
        return
    most = float(np.nanmax(np.abs(table))) or 1.0
    drawn = ax.imshow(table.T, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    bar = ax.figure.colorbar(drawn, ax=ax)
    bar.ax.tick_params(labelsize=8)
    for axis, name, count in zip((ax.xaxis, ax.yaxis), ("layer", "head"), table.shape, strict=True):
        axis.set_ticks(range(0, count, -(-count // _MOST_TICKS)))
        axis.set_label_text(name, fontsize=8)
    ax.set_title(f"importance of heads, {session.metric}", fontsize=9)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
