"""Write widgets, with all that was computed, into one page that needs no notebook."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from ..errors import ParameterError
from ..results.files import replaced
from ..session import Session
from ..support.progress import Progress, no_progress
from ..support.warn import warn_caller
from ..support.words import shown
from .complete import SAYS, Exportable, held_by
from .document import Theme, document
from .packing import SessionPart, packed_within
from .parts import part
from .result import ExportedPage

__all__ = ["Exportable", "page_bytes", "to_html"]

log = logging.getLogger(__name__)


def to_html(
    widgets: Exportable | Sequence[Exportable],
    path: str | Path,
    *,
    max_megabytes: float = 8.0,
    attention: bool = True,
    classes: int | str | Iterable[int | str] = (),
    theme: Theme = "auto",
    title: str | None = None,
) -> ExportedPage:
    """Write one or several widgets into one HTML file that works without notebook and network.

    Whatever needs no computing works in it: hover, click, heads, layers, methods, comparisons, the
    tour, and the decision without each single head. The rest says that it needs the model. Widgets
    that share a session stay linked. Running computations are waited for.

    Attention is stored in bytes, relative to the largest value of its row, so it is off by at most
    1/510 of that value. All else is stored exactly.

    Parameters
    ----------
    widgets : widget or sequence of widgets
        They stand below each other.
    path : str or Path
        The file.
    max_megabytes : float
        The file is at most so large, in units of 1,000,000 bytes. Comparisons and attention
        matrices are put in first, patterns and pictures of the image set after them; what there is
        no room for is dropped, which is warned of.
    attention : bool
        Whether the attention matrices of all heads are in it; without them there is that of the
        selected token and of the class token.
    classes : int, str, or iterable of these
        Classes that can be explained beside the shown one. Each takes as long as a new widget.
    theme : {"auto", "light", "dark"}
        By default that of the reader's system.
    title : str, optional
        Of the page.

    Returns
    -------
    ExportedPage
        Path, size and what was dropped.

    Raises
    ------
    ParameterError
        If there is no widget, the file cannot be written, or what cannot be left out is too large.
    TargetError
        If there is no such class.

    Warns
    -----
    UserWarning
        If something was dropped.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> page = vaw.to_html(explorer, "page.html")  # doctest: +SKIP
    >>> page.megabytes < 2  # doctest: +SKIP
    True
    >>> explorer.close()
    """
    several = list(widgets) if isinstance(widgets, Sequence) else [widgets]
    data, dropped = page_bytes(
        several, max_megabytes=max_megabytes, attention=attention, classes=classes, theme=theme,
        title=title,
    )  # fmt: skip
    with replaced(path) as file:
        file.write_bytes(data)
    page = ExportedPage(Path(path), len(data), dropped)
    log.info("%r", page)
    if dropped:
        warn_caller(
            f"There was no room within max_megabytes={max_megabytes:g} for {'; '.join(dropped)}: "
            f"{page.path} has {page.megabytes:.2f} MB without."
        )
    return page


def page_bytes(
    widgets: Sequence[Exportable],
    *,
    max_megabytes: float = 8.0,
    attention: bool = True,
    classes: int | str | Iterable[int | str] = (),
    theme: Theme = "auto",
    title: str | None = None,
    progress: Progress = no_progress,
) -> tuple[bytes, tuple[str, ...]]:
    """The page as bytes, and what it has no room for."""
    _check(widgets, theme, max_megabytes)
    sessions = list({id(widget.session): widget.session for widget in widgets}.values())
    wanted = [classes] if isinstance(classes, int | str) else list(classes)
    held = [
        held_by(session, [w for w in widgets if w.session is session], wanted, attention, progress)
        for session in sessions
    ]
    title = title or ", ".join(dict.fromkeys(_title(session) for session in sessions))
    placed = [
        {"stem": w.stem, "session": sessions.index(w.session), "own": dict(w.own_values())}
        for w in widgets
    ]
    first = [SessionPart(values) for values in held]

    def built(parts: Mapping[int, str]) -> bytes:
        start = part({"sessions": [each.known() for each in first], "widgets": placed})
        stems = [widget.stem for widget in widgets]
        text = document(title, theme, stems, {0: start, **parts}, len(widgets))
        return text.encode("utf-8", "replace")  # a title may be a file's name, in no code at all

    size, most = len(built({})), max_megabytes * 1e6
    if size > most:
        raise ParameterError(
            f"The page takes {size / 1e6:.2f} MB without attention matrices, more than "
            f"max_megabytes={max_megabytes:g}: give it at least {size / 1e6 + 0.1:.1f}."
        )
    parts, dropped = packed_within(first, int(most - size), progress)
    progress(1.0, SAYS)
    return built(parts), dropped


def _check(widgets: Sequence[Exportable], theme: Theme, max_megabytes: float) -> None:
    if not widgets:
        raise ParameterError("There is no widget to export: give one or several.")
    for widget in widgets:
        if not hasattr(widget, "own_values"):
            raise ParameterError(f"{shown(widget)} is no widget: give widgets, e.g. an Explorer.")
    if not max_megabytes > 0:
        raise ParameterError(f"max_megabytes is {shown(max_megabytes)}: it must be above 0.")
    if theme not in get_args(Theme):
        raise ParameterError(f"theme is {shown(theme)}: choose from {', '.join(get_args(Theme))}.")


def _title(session: Session) -> str:
    info = session._model_info
    return f"{info['name']} on {info['image_name']}"
