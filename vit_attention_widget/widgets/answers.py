"""What a widget answers when the browser asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, get_args

from ..errors import ProtocolError
from ..explainers import LONG_METHODS, METHODS
from ..protocol.messages import Request
from ..protocol.schema.results import FamilyName
from ..pruning.curve import ORDERS
from ..session import Session
from ..session.brought import MOST_PARTS
from ..session.selections import DIRECTIONS, IMAGE_METRICS
from ..session.stored_payloads import MOST_PICTURES, Box
from ..session.studies.compared import KINDS
from ..session.studies.comparison import MOST_CLASSES
from ..session.studies.saved_model import FORMATS
from ..support.words import shown

__all__ = ["nothing", "work_of"]

Work = Callable[[], bytes]
"""Makes the bytes of an answer, in the session's quick thread."""

_MOST_PROMPTS, _MOST_LETTERS = 100, 20_000
_FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)


_P = ParamSpec("_P")


def nothing() -> bytes:
    """Answers what asks for an answer only; no thread is needed for it."""
    return b""


def work_of(session: Session, request: Request) -> Work:
    """What answers a request; what takes long is started, and its result comes as a trait.

    Raises
    ------
    ProtocolError, ParameterError
        If there is no such request, or its parameters do not fit the model.
    """
    answer = _ANSWERS.get(request.method)
    if answer is None:
        raise ProtocolError(
            f"There is no method {shown(request.method)}: {', '.join(_ANSWERS)} are known."
        )
    return answer(session, request)


def _started(start: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> Work:
    start(*args, **kwargs)
    return lambda: b""


def _layer(session: Session, request: Request) -> int:
    return request.integer("layer", 0, session._model_info["num_layers"] - 1)


def _attention(session: Session, request: Request) -> Work:
    layer = _layer(session, request)
    return lambda: session.attention.layer(layer)


def _rows(session: Session, request: Request) -> Work:
    token = request.integer("token", 0, session._model_info["num_tokens"] - 1)
    direction = request.choice("direction", DIRECTIONS)
    return _started(session.attention.publish_rows, token, direction)


def _more_rows(session: Session, request: Request) -> Work:
    token = request.integer("token", 0, session._model_info["num_tokens"] - 1)
    direction, layer = request.choice("direction", DIRECTIONS), _layer(session, request)
    return lambda: session.attention.rows_with(layer, token, direction)


def _partial(session: Session, request: Request) -> Work:
    layer = _layer(session, request)
    head = request.integer("head", 0, session._model_info["num_heads"][layer] - 1)
    return _started(session.prune_partly, layer, head)


def _prune_to(session: Session, request: Request) -> Work:
    keep = 1 - request.integer("fall", 0, 99) / 100
    return _started(session.prune_to, keep, order=request.choice("order", ORDERS))


def _save_model(session: Session, request: Request) -> Work:
    form = request.choice("format", FORMATS)
    return _started(session.save_pruned_model, file_format=form)


def _image(session: Session, request: Request) -> Work:
    index = _openable(session, request)
    return lambda: session.studies.images.picture(index)


def _openable(session: Session, request: Request) -> int:
    return request.integer("index", 0, session.number_of_images - 1)


def _stored_show(session: Session, request: Request) -> Work:
    of_class = request.integer("of_class", -1, 2**31)
    return _started(session.studies.stored_images.show, request.text("quantity"), of_class)


def _stored_points(session: Session, request: Request) -> Work:
    box = Box(*(request.number(name) for name in Box._fields))
    return lambda: session.studies.stored_images.points(box)


def _stored_image(session: Session, request: Request) -> Work:
    index = _openable(session, request)
    return lambda: session.studies.stored_images.image(index)


def _stored_pictures(session: Session, request: Request) -> Work:
    images, count = request.params.get("images"), session.number_of_images
    if (
        not isinstance(images, list)
        or len(images) > MOST_PICTURES
        or not all(type(image) is int and 0 <= image < count for image in images)
    ):
        raise ProtocolError(
            f"stored_pictures got images = {shown(images)}; a list of at most {MOST_PICTURES} "
            f"numbers below {count} was expected."
        )
    return lambda: session.studies.stored_images.pictures(images)


def _compare(session: Session, request: Request) -> Work:
    of, params = request.choice("of", KINDS), request.params
    method = request.choice("method", (*METHODS, *LONG_METHODS)) if "method" in params else None
    classes, count = params.get("classes", []), session._model_info["num_classes"]
    if (
        not isinstance(classes, list)
        or not all(type(c) is int and 0 <= c < count for c in classes)
        or len(classes) > MOST_CLASSES
    ):
        raise ProtocolError(
            f"compare got classes = {shown(classes)}; a list of at most {MOST_CLASSES} numbers of "
            f"classes below {count} was expected."
        )
    return _started(session.compare_maps, of, method, classes)


def _bring_picture(session: Session, request: Request) -> Work:
    parts = request.integer("parts", 1, MOST_PARTS)
    part = request.integer("part", 0, parts - 1)
    upload, name = request.text("upload"), request.text("name")
    picture = session.brought.receive(upload, name, part, parts, request.buffer)
    if picture is not None:
        session.image = picture
    return nothing


def _brought_picture(session: Session, request: Request) -> Work:
    session.image = session.brought.again(request.integer("index", 0, 2**31))
    return nothing


def _prompts(session: Session, request: Request) -> Work:
    prompts = request.params.get("prompts")
    texts = [t for t in prompts if isinstance(t, str)] if isinstance(prompts, list) else []
    letters = sum(len(text) for text in texts)
    if texts != prompts or len(texts) > _MOST_PROMPTS or letters > _MOST_LETTERS:
        raise ProtocolError(
            f"prompts were given as {shown(prompts)}; a list of at most {_MOST_PROMPTS} texts "
            f"of {_MOST_LETTERS:,} letters in all was expected."
        )
    return _started(session.set_prompts, texts)


def _pattern_map(session: Session, request: Request) -> Work:
    family = request.choice("family", _FAMILIES)
    return lambda: session.studies.patterns.points(family)


def _pattern_thumbnails(session: Session, request: Request) -> Work:
    family = request.choice("family", _FAMILIES)
    return lambda: session.studies.patterns.thumbnails(family)


def _pattern_at(session: Session, request: Request) -> Work:
    family, index = request.choice("family", _FAMILIES), request.integer("index", 0, 2**31)
    return lambda: session.studies.patterns.point(family, index)


_ANSWERS: dict[str, Callable[[Session, Request], Work]] = {
    "attention": _attention,
    "rows": _rows,
    "more_rows": _more_rows,
    "partial": _partial,
    "curve": lambda s, r: _started(s.draw_curve, r.choice("order", ORDERS)),
    "prune_to": _prune_to,
    "save_model": lambda s, r: _started(
        s.save_pruned_model, file_format=r.choice("format", FORMATS)
    ),
    "interactions": lambda s, _: _started(s.measure_interactions),
    "importance_before": lambda s, _: _started(s.measure_importance_before),
    "strength": lambda s, _: _started(s.measure_strength),
    "strength_set": lambda s, _: _started(s.measure_strength_of_set),
    "layer_decisions": lambda s, _: _started(s.read_out_layers),
    "images": lambda s, _: _started(s.show_images),
    "overview": lambda s, r: _started(s.lay_out_images, r.choice("metric", IMAGE_METRICS)),
    "image": _image,
    "stored_look": lambda s, _: _started(s.look_at_store),
    "stored_show": _stored_show,
    "stored_points": _stored_points,
    "stored_image": _stored_image,
    "stored_pictures": _stored_pictures,
    "compare": _compare,
    "bring_picture": _bring_picture,
    "brought_picture": _brought_picture,
    "prompts": _prompts,
    "score_map": lambda s, _: _started(s.score_map),
    "cancel_scores": lambda s, _: _started(s.cancel_scores),
    "score_compared": lambda s, _: _started(s.score_compared),
    "learn_patterns": lambda s, _: _started(s.learn_patterns),
    "place_heads": lambda s, _: _started(s.place_heads),
    "pattern_map": _pattern_map,
    "pattern_thumbnails": _pattern_thumbnails,
    "pattern_at": _pattern_at,
    "page": lambda *_: nothing,  # the widget's own, see its base
    "alive": lambda *_: nothing,  # the widget's own, too
    "all_traits": lambda *_: nothing,
    "cancel_job": lambda s, _: _started(s.cancel),
    "go_on": lambda s, _: _started(s.go_on),
}
