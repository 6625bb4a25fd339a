"""A widget lives as long as a variable or a page can reach it, and no longer."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import timm
import torch
from ipywidgets import VBox
from ipywidgets.widgets.widget import _instances
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

import vit_attention_widget as vaw

IMAGE = np.zeros((32, 32, 3), np.uint8)


def tiny() -> torch.nn.Module:
    return timm.create_model("test_vit", img_size=32, num_classes=5).eval()


def lanes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("vaw-")]


@pytest.mark.slow
def test_of_a_hundred_widgets_that_were_closed_nothing_is_left() -> None:
    model = tiny()
    gc.collect()
    widgets, threads = len(_instances), len(lanes())
    things: list[weakref.ref[Any]] = []
    for number in range(100):
        grid = vaw.HeadImportanceGrid(model, IMAGE)
        if number % 4 == 0:
            assert grid.wait(60)  # the others are closed while they compute
        things += map(weakref.ref, (grid, grid.session, grid.layout, grid.session._context))
        grid.close()
        assert len(lanes()) == threads
    del grid
    gc.collect()
    assert len(_instances) == widgets
    assert [thing for thing in things if thing() is not None] == []
    model_ = weakref.ref(model)
    del model
    gc.collect()
    assert model_() is None


def test_a_widget_that_nothing_holds_ends_its_session() -> None:
    gc.collect()
    widgets, threads = len(_instances), set(lanes())
    explorer = vaw.Explorer(tiny(), IMAGE)
    explorer.wait(60)
    things = [weakref.ref(explorer), weakref.ref(explorer._session), weakref.ref(explorer.layout)]
    started = set(lanes()) - threads
    assert started
    del explorer
    gc.collect()
    assert [thing for thing in things if thing() is not None] == []
    assert len(_instances) == widgets
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()


def test_a_session_that_was_taken_from_a_widget_outlives_it() -> None:
    session = vaw.Explorer(tiny(), IMAGE).session
    gc.collect()
    session.selected_layer = 2
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert session.decision["pruned"] == [(0, 0)]
    session.close()


def test_a_shared_session_does_not_hold_its_widgets() -> None:
    session = vaw.Session(tiny(), IMAGE)
    grid = weakref.ref(vaw.HeadImportanceGrid(session=session))
    gc.collect()
    assert grid() is None
    session.close()


def test_a_widget_in_a_box_is_found_by_a_page_that_is_loaded_again() -> None:
    box = VBox([vaw.HeadImportanceGrid(tiny(), IMAGE)])
    gc.collect()
    (grid,) = box.children
    assert _instances[grid.model_id].get_state()["metric"] == grid.metric
    grid.close()


def test_a_layout_that_another_widget_has_stays() -> None:
    one, other = (vaw.HeadImportanceGrid(tiny(), IMAGE) for _ in range(2))
    other.layout = one.layout
    one.close()
    assert other.layout.comm is not None
    other.close()
    assert other.layout.comm is None


class Notebook:
    """A kernel, and what a page tells it about the views of a widget."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self.run(
            "import gc, weakref, timm, numpy as np, vit_attention_widget as vaw\n"
            "from ipywidgets.widgets.widget import _instances\n"
            "made, models = [], []\n"
            "gc.freeze()  # what was imported need not be looked through after every cell\n"
            "def make():\n"
            "    model = timm.create_model('test_vit', img_size=32, num_classes=5).eval()\n"
            "    grid = vaw.HeadImportanceGrid(model, np.zeros((32, 32, 3), np.uint8))\n"
            "    assert grid.wait(60)  # else its threads hold the model a moment longer\n"
            "    made.append(weakref.ref(grid)); models.append(weakref.ref(model))\n"
            "    return grid",
            "imports",
        )

    def _send(self, kind: str, content: dict[str, Any], cell: str | None = None) -> str:
        metadata = {"cellId": cell} if cell else {}
        message = self._client.session.msg(kind, content, metadata=metadata)
        self._client.shell_channel.send(message)
        text = ""
        while True:
            answer = self._client.get_iopub_msg(timeout=60)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if answer["msg_type"] == "stream":
                text += answer["content"]["text"]
            assert answer["msg_type"] != "error", "\n".join(answer["content"]["traceback"])
            if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
                return text.strip()

    def run(self, code: str, cell: str | None = None) -> str:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True}  # fmt: skip
        return self._send("execute_request", content, cell)

    def views(self, number: int, count: int) -> None:
        """A page shows a widget so many times."""
        comm = self.run(f"print(made[{number}]().model_id)")
        data = {"method": "update", "state": {"_view_count": count}, "buffer_paths": []}
        self._send("comm_msg", {"comm_id": comm, "data": data})

    def alive(self) -> str:
        """Which widgets there are, and which models."""
        return self.run("print([[r() is not None for r in refs] for refs in (made, models)])")


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(kernel: BlockingKernelClient) -> Notebook:
    return Notebook(kernel)


@pytest.mark.slow
class TestCells:
    def test_a_cell_that_is_run_again_keeps_its_last_widget_only(self, notebook: Notebook) -> None:
        for number in range(5):
            notebook.run("make()", "a")
            notebook.views(number, 1)
            if number:
                notebook.views(number - 1, 0)
        expected = [False] * 4 + [True]
        assert notebook.alive() == str([expected, expected])

    def test_a_variable_keeps_only_what_it_names(self, notebook: Notebook) -> None:
        for number in range(3):
            notebook.run("grid = make()\ngrid", "a")
            notebook.views(number, 1)
            if number:
                notebook.views(number - 1, 0)
        notebook.run("other = grid")
        notebook.run("grid = make()\ngrid", "a")
        notebook.views(2, 0)
        expected = [False, False, True, True]
        assert notebook.alive() == str([expected, expected])
        assert notebook.run("print(other.wait(60), other.comm is not None)") == "True True"
        notebook.run("other", "b")  # shown again, it is held as others are
        notebook.run("del other")
        assert notebook.alive() == str([expected, expected])

    def test_a_box_goes_with_what_it_shows(self, notebook: Notebook) -> None:
        notebook.run("from ipywidgets import HBox, VBox")
        for number in range(3):
            notebook.run("VBox([HBox([make()])])", "a")
            notebook.views(number, 1)
            if number:
                notebook.views(number - 1, 0)
        expected = [False, False, True]
        assert notebook.alive() == str([expected, expected])

    def test_a_box_that_a_variable_names_stays(self, notebook: Notebook) -> None:
        notebook.run("from ipywidgets import VBox\nbox = VBox([make()])\nbox", "a")
        notebook.views(0, 1)
        notebook.run("kept = box\nbox = VBox([make()])\nbox", "a")
        notebook.views(0, 0)
        assert notebook.alive() == "[[True, True], [True, True]]"
        notebook.run("kept", "b")  # shown again, a page holds it
        notebook.views(0, 1)
        notebook.run("del kept; _ = gc.collect()")
        assert notebook.alive() == "[[True, True], [True, True]]"
        notebook.views(0, 0)
        assert notebook.alive() == "[[False, True], [False, True]]"

    def test_what_a_page_still_shows_stays(self, notebook: Notebook) -> None:
        notebook.run("make()", "a")
        notebook.views(0, 2)
        notebook.run("make()", "a")
        notebook.views(0, 1)
        assert notebook.alive() == "[[True, True], [True, True]]"
        notebook.views(0, 0)
        assert notebook.alive() == "[[False, True], [False, True]]"

    def test_views_that_a_slow_page_counted_below_0_are_none(self, notebook: Notebook) -> None:
        notebook.run("make()", "a")
        notebook.views(0, -1)
        notebook.run("make()", "a")
        assert notebook.alive() == "[[False, True], [False, True]]"

    def test_what_another_cell_displays_stays(self, notebook: Notebook) -> None:
        notebook.run("grid = make()", "a")
        notebook.run("grid", "b")
        notebook.run("grid = make()", "a")
        assert notebook.alive() == "[[True, True], [True, True]]"
        notebook.run("grid", "b")
        assert notebook.alive() == "[[False, True], [False, True]]"

    def test_what_a_callback_makes_goes_once_no_page_shows_it(self, notebook: Notebook) -> None:
        """A button that shows another model in an ``Output`` in place of the one before."""
        notebook.run(
            "from IPython.display import display\nimport ipywidgets\n"
            "def show(_):\n    with out:\n        out.clear_output()\n        display(make())\n"
            "button, out = ipywidgets.Button(), ipywidgets.Output()\nbutton.on_click(show)",
            "callbacks",
        )
        button = notebook.run("print(button.model_id)")
        for number in range(4):
            data = {"method": "custom", "content": {"event": "click"}}
            notebook._send("comm_msg", {"comm_id": button, "data": data})
            notebook.views(number, 1)
            if number:
                notebook.views(number - 1, 0)
        expected = [False] * 3 + [True]
        assert notebook.alive() == str([expected, expected])

    def test_a_page_that_is_left_ends_nothing(self, notebook: Notebook) -> None:
        notebook.run("make()", "a")
        notebook.views(0, 1)
        notebook.views(0, 0)
        notebook.run("make()", "b")
        assert notebook.alive() == "[[True, True], [True, True]]"

    def test_without_ids_a_cell_is_known_by_its_code(self, notebook: Notebook) -> None:
        notebook.run("make()")
        notebook.run("make() ")
        notebook.run("make()")
        assert notebook.alive() == "[[False, True, True], [False, True, True]]"

    def test_code_is_sent_once_for_all_widgets_of_a_kind(self, notebook: Notebook) -> None:
        notebook.run("first = make()")
        texts = "[str(v) for v in grid.get_state().values() if not isinstance(v, bytes)]"
        size = f"print(sum(map(len, {texts})))"
        assert int(notebook.run(f"grid = make()\n{size}")) < 20_000
        shared = "print(grid._bundle is first._bundle, 'vaw-root' in grid._bundle.style)"
        assert notebook.run(shared) == "True True"

    def test_what_is_not_seen_at_first_is_sent_after_the_cell(self, notebook: Notebook) -> None:
        make = "explorer = vaw.Explorer(session=grid.session)"
        notebook.run("grid = make()")
        assert notebook.run(f"{make}\nprint(explorer._more)") == "None"
        first = "print(len(explorer._bundle.script) < 180_000, explorer._more.script[:14])"
        assert notebook.run(first) == "True export default"
        assert notebook.run(f"more = explorer._more\n{make}\nprint(explorer._more)") == "None"
        assert notebook.run("print(explorer._more is more)") == "True"
        assert notebook.run("print(len(grid._more.script) < 20_000)") == "True"
        made = "strength = vaw.HeadStrengthView(session=grid.session)"
        assert notebook.run(made) == ""
        assert notebook.run("print(strength._more)") == "None"  # all of it is seen at first

    def test_an_exported_page_has_the_code(self, notebook: Notebook) -> None:
        embed = (
            "from ipywidgets.embed import embed_data\n"
            "grid = make()\n"
            "state = embed_data([grid], drop_defaults=False)['manager_state']['state']\n"
            "shared = state[grid.model_id]['state']['_bundle'].removeprefix('IPY_MODEL_')\n"
            "print('vaw-root' in state[shared]['state']['style'])"
        )
        assert notebook.run(embed) == "True"
