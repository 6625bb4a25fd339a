"""How many classes there are, and what they are called: the logits decide, not an attribute."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from models import BY_NAME
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError

SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
IMAGE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]


def timm_model(num_classes: int, head: nn.Module | None = None) -> Any:
    model = TimmTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=num_classes
    )
    if head is not None:
        model.head = head
    return model.eval()


def hf_model(classifier: nn.Module | None = None, **options: Any) -> Any:
    torch.manual_seed(0)
    model = hf.ViTForImageClassification(hf.ViTConfig(**SIZE, **{"num_labels": 7, **options}))
    if classifier is not None:
        model.classifier = classifier
    return model.eval()


class Cosine(nn.Module):
    """A head whose width no attribute tells."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(count, 16))

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features, dim=-1) @ self.prototypes.T


class ModulesToSaveWrapper(nn.Module):
    """As PEFT wraps what it trains in full: the original beside the copies, by adapter."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.original_module = module
        self.modules_to_save = nn.ModuleDict({"default": nn.Linear(16, 7)})

    def forward(self, *args: Any, **options: Any) -> Tensor:
        return self.modules_to_save["default"](*args, **options)


def quantized(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear})


REPLACED = {
    "timm linear": lambda: timm_model(1000, nn.Linear(16, 2)),
    "timm several": lambda: timm_model(1000, nn.Sequential(nn.Linear(16, 9), nn.Linear(9, 4))),
    "timm unknown": lambda: timm_model(1000, Cosine(6)),
    "timm from features": lambda: timm_model(0, Cosine(3)),
    "timm more": lambda: timm_model(3, nn.Linear(16, 8)),
    "transformers": lambda: hf_model(nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 7))),
    "transformers other": lambda: hf_model(nn.Sequential(nn.Linear(16, 5), nn.ReLU())),
    "transformers unknown": lambda: hf_model(Cosine(6)),
    "peft": lambda: hf_model(ModulesToSaveWrapper(nn.Linear(16, 7))),
    "int8": lambda: quantized(hf_model()),
    "int8 timm": lambda: quantized(timm_model(6)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", list(REPLACED))
def test_the_logits_decide_how_many_classes_there_are(name: str) -> None:
    model = REPLACED[name]()
    trace = vaw.trace(model, IMAGE, gradients=False)
    count = trace.logits.shape[1]
    assert trace.model.num_classes == count
    assert trace.model.has_classes
    assert trace.target.index == (int(trace.logits.argmax()),)
    assert trace.target.name == f"class {int(trace.logits.argmax())}"
    with pytest.raises(TargetError, match=f"no class {count}.*{count} classes"):
        trace.retarget(count)
    session = vaw.Session(model, IMAGE)
    try:
        assert session.wait(60)
        if not name.startswith("int8"):  # no gradient passes its layers
            assert session.status["error"] is None
        assert len(session.top5) == min(5, count)
        assert session._model_info["num_classes"] == count
        assert len(session.decision["rows"]) == min(5, count)
    finally:
        session.close()


@pytest.mark.parametrize("family", ["CLIP", "Siglip"])
def test_the_classes_of_models_with_a_configuration_for_each_tower(family: str) -> None:
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = getattr(hf, f"{family}Config")(
        vision_config=SIZE, text_config={**text, "vocab_size": 60000}, num_labels=7
    )
    config.id2label = dict(enumerate(NAMES))
    model = getattr(hf, f"{family}ForImageClassification")(config).eval()
    vit = vaw.describe(model)
    assert (vit.num_classes, vit.class_names, vit.output) == (7, NAMES, "softmax")
    trace = vaw.trace(model, IMAGE, "eel")
    torch.testing.assert_close(trace.logits, model(IMAGE).logits)
    assert (trace.model.num_classes, trace.target.index) == (7, (4,))


@pytest.mark.parametrize("head", [nn.Identity(), nn.Sequential(nn.Dropout(0.5)), nn.Flatten()])
def test_a_head_that_passes_on_what_it_is_given_has_no_classes(head: nn.Module) -> None:
    trace = vaw.trace(timm_model(1000, head), IMAGE)
    assert (trace.model.num_classes, trace.model.class_names) == (0, None)
    assert (trace.model.output, trace.target.name) == ("features", "no class")
    assert vaw.trace(hf_model(head), IMAGE).model.output == "features"


def test_names_of_another_number_are_dropped_with_a_sentence() -> None:
    model = timm_model(1000, nn.Linear(16, 2))
    with pytest.warns(UserWarning, match=r"returns 2 numbers.*1000 names.*class_names="):
        assert vaw.trace(model, IMAGE, 1).target.name == "class 1"
    with pytest.warns(UserWarning, match=r"returns 2 numbers.*3 names.*class_names="):
        vaw.trace(model, IMAGE, class_names=NAMES[:3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vaw.trace(model, IMAGE, "bee", class_names=["ant", "bee"]).target.index == (1,)
        assert vaw.trace(timm_model(1000), IMAGE, 0).target.name == "tench"


def test_a_session_warns_at_the_line_that_gave_the_model() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = vaw.Session(timm_model(1000, nn.Linear(16, 2)), IMAGE)
        assert session.wait(60)
    assert ["1000 names" in str(warning.message) for warning in caught] == [True]
    assert caught[0].filename == __file__
    assert session._model_info["class_names"] is None
    session.close()


def test_the_description_that_others_use_stays_as_it_is() -> None:
    model = timm_model(1000, Cosine(2))
    vit = vaw.describe(model)
    before = dict(vars(vit))
    with pytest.warns(UserWarning, match="1000 names"):
        seen = vaw.trace(vit, IMAGE).model
    assert (vit.num_classes, seen.num_classes) == (1000, 2)
    assert {name: vars(vit)[name] for name in before} == before
    assert vaw.trace(seen, IMAGE).model is seen
    fitting = vaw.describe(timm_model(7))
    assert vaw.trace(fitting, IMAGE).model is fitting


def test_names_come_in_several_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = timm_model(7)
    lines, listed, mapped = (tmp_path / name for name in ("a.txt", "b.json", "c.json"))
    lines.write_text("\n".join(NAMES) + "\n", "utf-8")
    listed.write_text(json.dumps(NAMES), "utf-8")
    mapped.write_text(json.dumps(dict(reversed(list(enumerate(NAMES))))), "utf-8")
    for names in (NAMES, tuple(NAMES), dict(enumerate(NAMES)), lines, str(listed), mapped):
        assert vaw.describe(model, class_names=names).class_names == NAMES
        assert vaw.trace(model, IMAGE, "fox", class_names=names).target.index == (5,)
    assert vaw.describe(hf_model(id2label=dict(enumerate(NAMES)))).class_names == NAMES
    assert vaw.describe(hf_model()).class_names is None
    for path in (lines, listed):  # as editors on Windows write them
        path.write_text(path.read_text("utf-8"), "utf-8-sig")
        assert vaw.describe(model, class_names=path).class_names == NAMES
    monkeypatch.setenv("HOME", str(tmp_path))
    assert vaw.describe(model, class_names="~/a.txt").class_names == NAMES
    model.pretrained_cfg = {"label_names": NAMES}
    assert vaw.describe(model).class_names == NAMES
    described = vaw.describe(model, class_names=NAMES[::-1])
    assert vaw.trace(described, IMAGE, "fox").target.index == (1,)
    assert vaw.describe(model).class_names == NAMES


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "class_names is"),
        ({}, "class_names is"),
        (3, "class_names is '3'"),
        ({0: "ant", 2: "cat"}, "none to class 1"),
        ({"ant": 0}, "maps 'ant'.*class indices"),
        ("not there.txt", "cannot be read from 'not there.txt'"),
    ],
)
def test_names_that_cannot_be_taken(names: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        vaw.trace(timm_model(7), IMAGE, class_names=names)


class ClassLabel:
    """As Hugging Face's datasets say what a column's classes are called."""

    names = NAMES


class HuggingFaceData(list[Any]):
    features = {"image": None, "label": ClassLabel()}


def test_names_of_data_sets_are_found_where_a_model_has_none() -> None:
    pairs = [(IMAGE[0], "fox"), (IMAGE[0], "ant")]
    importance = vaw.head_importance(timm_model(7), HuggingFaceData(pairs))
    assert importance.parts[0].labels.tolist() == [5, 0]
    assert 0 <= vaw.accuracy(timm_model(7), HuggingFaceData(pairs)) <= 1
    with pytest.raises(TargetError, match=r"'fox'.*does not say what its classes are called"):
        vaw.head_importance(timm_model(5), HuggingFaceData(pairs))
    named = vaw.describe(timm_model(7), class_names=NAMES[::-1])  # the model's own names count
    assert vaw.head_importance(named, HuggingFaceData(pairs)).parts[0].labels.tolist() == [1, 6]


class Labelled(torch.utils.data.Dataset[Any]):
    classes = NAMES

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return IMAGE[0], index


def test_sessions_and_widgets_take_names_and_find_those_of_a_data_set() -> None:
    model = BY_NAME["vit"].build(torch.float32)
    widget = vaw.Explorer(model, IMAGE, "bee", class_names=NAMES[:5])
    try:
        assert widget.wait(60)
        assert widget._model_info["class_names"] == NAMES[:5]
        assert widget.decision["target_name"] == "bee"
        with pytest.raises(ParameterError, match="a session and more"):
            vaw.Explorer(session=widget.session, class_names=NAMES[:5])
    finally:
        widget.close()
    for classes, expected in ((7, NAMES), (5, None)):
        session = vaw.Session(timm_model(classes), IMAGE, image_set=Labelled())
        try:
            assert session.wait(60)
            assert session._model_info["class_names"] == expected
        finally:
            session.close()


@pytest.mark.parametrize(
    ("model", "options", "output"),
    [
        (lambda: timm_model(7), {}, "softmax"),
        (lambda: timm_model(1), {}, "value"),
        (lambda: timm_model(1), {"output": "sigmoid"}, "sigmoid"),
        (lambda: timm_model(0), {}, "features"),
        (lambda: timm_model(7), {"output": "features"}, "features"),
        (lambda: hf_model(problem_type="multi_label_classification"), {}, "sigmoid"),
        (lambda: hf_model(problem_type="regression"), {}, "value"),
        (lambda: hf_model(problem_type="regression"), {"output": "softmax"}, "softmax"),
        (lambda: hf_model(num_labels=1), {}, "value"),
        (
            lambda: hf_model(num_labels=1, problem_type="multi_label_classification"),
            {},
            "sigmoid",
        ),
    ],
)
def test_the_kind_of_output_is_found_or_said(model: Any, options: Any, output: str) -> None:
    vit = vaw.describe(model(), **options)
    trace = vaw.trace(model(), IMAGE, **options)
    assert vit.output == trace.model.output == output
    expected = {
        "softmax": trace.logits.softmax(-1),
        "sigmoid": trace.logits.sigmoid()
        if trace.logits.shape[1] > 1
        else torch.cat([(-trace.logits).sigmoid(), trace.logits.sigmoid()], 1),
        "value": trace.logits,
        "features": trace.logits,
    }
    assert torch.equal(trace.probabilities, expected[output])


def test_kinds_of_output_that_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"softmax is always 1.*output=\"sigmoid\""):
        vaw.trace(timm_model(1), IMAGE, output="softmax")
    with pytest.raises(ParameterError, match="output is 'logits': choose from softmax"):
        vaw.describe(timm_model(7), output="logits")  # type: ignore[arg-type]


def test_what_is_no_letter_goes_neither_to_a_browser_nor_to_a_file(tmp_path: Path) -> None:
    """Half of a surrogate pair, as JSON may hold and a wrong encoding leaves; UTF-8 has none."""
    file = tmp_path / "names.json"
    file.write_text(r'["ant", "b\ud83dee", "\udcff", "d\u00f6g", "eel", "fox", "gnu"]')
    clean = ["ant", "b?ee", "?", "d\u00f6g", "eel", "fox", "gnu"]
    given = json.loads(file.read_text())
    described = vaw.describe(timm_model(7))
    described.class_names = given
    for vit in (described, vaw.describe(timm_model(7), class_names=file)):
        assert vit.class_names == clean
        assert [vit.class_name(i) for i in range(7)] == clean
    session = vaw.Session(described, IMAGE)
    session.wait()
    json.dumps([session._model_info, session.decision], ensure_ascii=False).encode("utf-8")
    session.close()
