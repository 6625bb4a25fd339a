"""What threads send for a widget is sent in the context in which the widget was made."""

from __future__ import annotations

import contextvars
import threading

import numpy as np
import pytest
import timm

import vit_attention_widget as vaw

PAGE: contextvars.ContextVar[str] = contextvars.ContextVar("PAGE", default="nobody's")


def test_two_pages_of_one_session_each_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = timm.create_model("test_vit", img_size=32, num_classes=5).eval()
    session = vaw.Session(model, np.zeros((32, 32, 3), np.uint8))
    session.wait()
    sent: dict[str, set[str]] = {"first": set(), "second": set()}
    widgets = []
    for page in sent:
        PAGE.set(page)
        widgets.append(vaw.HeadImportanceGrid(session=session))
    PAGE.set("another")
    for widget, pages in zip(widgets, sent.values(), strict=True):

        def send(*_: object, pages: set[str] = pages, **__: object) -> None:
            if threading.current_thread() is not threading.main_thread():
                pages.add(PAGE.get())

        monkeypatch.setattr(widget.comm, "send", send)
    session.pruned_heads = [(0, 0)]
    session.wait()
    assert sent == {"first": {"first"}, "second": {"second"}}
    for widget in widgets:
        widget.close()
    session.close()
