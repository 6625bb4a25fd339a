"""``vaw``: models by name and folder, weights that hold numbers only, the notebook, the command."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import timm
import torch
from libraries import tiny_clip
from models import randomise
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.app import load_model
from vit_attention_widget.app.choice import Choice
from vit_attention_widget.app.command import main
from vit_attention_widget.app.notebook import save_notebook, source
from vit_attention_widget.app.server import check_installed, free_port, leads_to
from vit_attention_widget.app.which_library import library_of
from vit_attention_widget.errors import ParameterError, UnsupportedModelError

NAME = "test_vit"  # of timm: 6 layers of 2 heads, 160 pixels


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A model of seven classes, as somebody might have trained it."""
    model = timm.create_model(NAME, num_classes=7)
    randomise(model)
    return model.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))


def _safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    save_file(state, folder / "w.safetensors")
    return folder / "w.safetensors"


def _torch_save(content: object, folder: Path) -> Path:
    torch.save(content, folder / "w.pth")
    return folder / "w.pth"


SAVED: dict[str, Callable[[dict[str, Tensor], Path], Path]] = {
    "safetensors": _safetensors,
    "torch.save": _torch_save,
    "a training script": lambda state, folder: _torch_save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, folder
    ),
    "part of another": lambda state, folder: _torch_save(
        {**{f"net.backbone.{k}": v for k, v in state.items()}, "loss.scale": torch.ones(1)}, folder
    ),
}


@pytest.mark.parametrize("how", SAVED)
def test_weights_of_a_file_are_the_models(
    how: str, trained: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    """However they were saved; how many classes there are follows from them."""
    path = SAVED[how](trained.state_dict(), tmp_path)
    model: Any = load_model(NAME, weights=path)
    assert not model.training
    with torch.no_grad():
        assert torch.equal(model(images), trained(images))
    assert "state_dict" not in model.pretrained_cfg
    assert vaw.describe(model).num_classes == 7


def test_weights_without_a_head_make_a_model_without_one(
    trained: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    state = {k: v for k, v in trained.state_dict().items() if not k.startswith("head.")}
    model: Any = load_model(NAME, weights=_safetensors(state, tmp_path))
    with torch.no_grad():
        assert torch.equal(model.forward_features(images), trained.forward_features(images))  # type: ignore[operator]
    assert vaw.describe(model).num_classes == 0


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Hostile.where),)

    where = Path()


def test_code_in_a_file_is_not_run(trained: nn.Module, tmp_path: Path) -> None:
    Hostile.where = tmp_path / "it ran"
    for content in (Hostile(), trained):
        path = _torch_save(content, tmp_path)
        with pytest.raises(ParameterError, match=r"cannot be read as weights.*is not run"):
            load_model(NAME, weights=path)
    assert not Hostile.where.exists()


def test_code_in_a_folder_is_not_run_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ran = tmp_path / "model", tmp_path / "it ran"
    folder.mkdir()
    config = {"model_type": "of_its_own", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: ...")
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(ParameterError, match="brings code of its own, and none is run here"):
        load_model(folder)
    assert not ran.exists()


def test_what_is_no_file_of_weights_is_refused(trained: nn.Module, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights at all")
    for path, message in (
        (tmp_path / "none.pth", "does not exist"),
        (tmp_path, "is a folder"),
        (broken, "cannot be read as weights"),
        (_torch_save({"lr": 0.1}, tmp_path), "holds no weights by name"),
    ):
        with pytest.raises(ParameterError, match=message):
            load_model(NAME, weights=path)


def test_weights_of_another_model_are_refused_with_the_difference(tmp_path: Path) -> None:
    state = timm.create_model("test_vit2").state_dict()
    with pytest.raises(
        ParameterError,
        match=r"weights of another model than 'test_vit': .* of the file's \d+ are not the model's",
    ):
        load_model(NAME, weights=_safetensors(state, tmp_path))


def test_a_folder_of_timm(trained: Any, images: Tensor, tmp_path: Path) -> None:
    timm.models.save_for_hf(trained, tmp_path, safe_serialization=True)
    assert library_of(str(tmp_path)) == "timm"
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(images), trained(images))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ParameterError, match="holds no weights"):
        load_model(tmp_path)


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    import transformers as hf

    config = hf.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8, num_labels=5,
    )  # fmt: skip
    trained = hf.ViTForImageClassification(config).eval()
    folder = tmp_path / "model"
    trained.save_pretrained(folder)
    assert library_of(str(folder)) == "transformers"
    images = torch.rand(2, 3, 32, 32)
    state = {k: v * 0.5 for k, v in trained.state_dict().items()}
    file = _safetensors(state, tmp_path)
    other = hf.ViTForImageClassification(config).eval()
    other.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(load_model(folder)(images).logits, trained(images).logits)
        assert torch.equal(load_model(folder, weights=file)(images).logits, other(images).logits)
    del state["vit.layernorm.weight"]
    with pytest.raises(ParameterError, match=r"another model.*1 of the model's \d+ are missing"):
        load_model(folder, weights=_safetensors(state, tmp_path))


def test_a_folder_of_open_clip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = tiny_clip()
    vision = {"image_size": 32, "patch_size": 8, "width": 16, "layers": 3, "head_width": 8}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(clip.state_dict(), tmp_path / "open_clip_model.safetensors")
    assert library_of(str(tmp_path)) == "open_clip"
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        loaded: Any = load_model(tmp_path)
        assert torch.equal(loaded.encode_image(images), clip.encode_image(images))
        other = {name: value * 0.5 for name, value in clip.state_dict().items()}
        path = _torch_save(other, tmp_path.parent)
        loaded = load_model(tmp_path, weights=path)  # these, and not the folder's
        assert "randomly" not in caplog.text
        clip.load_state_dict(other)
        assert torch.equal(loaded.encode_image(images), clip.encode_image(images))
    del other["visual.proj"]
    with pytest.raises(ParameterError, match=r"another model.*such as visual\.proj"):
        load_model(tmp_path, weights=_torch_save(other, tmp_path.parent))
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(ParameterError, match="open_clip could not make"):  # with random ones
        load_model(tmp_path)


def test_a_model_is_never_made_with_random_weights() -> None:
    """Of timm neither: it says so itself."""
    import open_clip

    without = (m for m in open_clip.list_models() if not open_clip.list_pretrained_tags_by_model(m))
    with pytest.raises(ParameterError, match="open_clip could not make"):
        load_model(next(without))
    with pytest.raises(ParameterError, match="No pretrained weights"):
        load_model("vit_base_patch16_reg4_gap_256")


def test_the_library_follows_from_the_name() -> None:
    names = {
        "vit_tiny_patch16_224": "timm",
        "vit_tiny_patch16_224.augreg_in21k": "timm",
        "timm/vit_tiny_patch16_224.augreg_in21k": "timm",
        "hf-hub:somebody/model": "timm",
        "google/vit-base-patch16-224": "transformers",
        "ViT-B-32": "open_clip",
    }
    assert {name: library_of(name) for name in names} == names


def test_a_name_that_is_none_is_refused_with_similar_ones(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="Did you mean vit_tiny_patch16_224"):
        library_of("vit_tiny_patch16_225")
    file = tmp_path / "w.pth"
    file.write_bytes(b"")
    for name, message in (
        (file, "--model NAME --weights"),
        (tmp_path, "holds no config.json"),
        (tmp_path / "none", "no folder"),
    ):
        with pytest.raises(ParameterError, match=message):
            library_of(str(name))
    with pytest.raises(ParameterError, match="choose from timm"):
        load_model(NAME, library="keras")  # type: ignore[arg-type]


def test_a_library_that_cannot_make_it_is_quoted() -> None:
    """Whatever it raises; here a set of weights that timm does not have."""
    with pytest.raises(
        ParameterError, match=r"timm could not make 'test_vit.never'.*--weights FILE"
    ):
        load_model("test_vit.never")


def test_the_notebook_makes_what_was_chosen(
    trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own code, in another working directory than the command's."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 160), "teal").save("it's a cat.png")
    _safetensors(trained.state_dict(), tmp_path)
    Path("names.txt").write_text("\n".join("abcdefg"))
    choice = Choice("it's a cat.png", NAME, "timm", "w.safetensors", "names.txt")
    save_notebook(choice, tmp_path / "made.ipynb")
    notebook = nbformat.read(tmp_path / "made.ipynb", 4)
    nbformat.validate(notebook)
    code = notebook.cells[0].source
    assert code == source(choice)
    monkeypatch.chdir("/")
    lines = code.splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*lines[:-1], "explorer = " + lines[-1]]), names)
    explorer = names["explorer"]
    assert "it's a cat.png" in repr(explorer)
    assert {name for name, _ in explorer.top5} <= set("abcdefg")
    monkeypatch.chdir(tmp_path)
    of_page = choice.explorer()
    assert (repr(of_page), of_page.top5) == (repr(explorer), explorer.top5)
    of_page.close()
    explorer.close()


def test_a_page_is_written_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "voila", None)  # as if it were not installed
    files = tmp_path / "page.html", tmp_path / "page.ipynb"
    options = ["--theme", "dark", "--device", "cpu"]
    assert main(["--html", str(files[0]), "--save", str(files[1]), *options]) == 0
    page = files[0].read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert 'data-vaw-theme="dark"' in page[:2000]
    [cell] = nbformat.read(files[1], 4).cells
    assert "two_objects" in cell.source
    assert "load_model().to('cpu')" in cell.source
    assert "page.html (" in capsys.readouterr().out


def test_the_notebook_of_no_choice_is_the_bundled_model() -> None:
    assert source(Choice()) == (
        "import vit_attention_widget as vaw\n\nmodel = vaw.demo.load_model()\n"
        "vaw.Explorer(model, vaw.demo.two_objects(208, ('heart', 'star')).image)"
    )


def test_a_port_that_is_taken_is_said_or_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ParameterError, match=f"port {port}: .*Try another --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", None) >= 8866
    with pytest.raises(ParameterError, match=r"Nothing can listen at 192\.0\.2\.1"):
        free_port("192.0.2.1", port)


def test_the_token_is_not_on_the_browsers_command_line(tmp_path: Path) -> None:
    address = leads_to("http://127.0.0.1:8866/?token=secret", str(tmp_path))
    assert "secret" not in address
    assert 'url=http://127.0.0.1:8866/?token=secret"' in Path(address[7:]).read_text()


def test_without_the_server_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "voila", None)  # as if it were not installed
    with pytest.raises(ParameterError, match=r"needs voila.*vit-attention-widget\[app\]"):
        check_installed()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no such cat.jpg"], "There is no file"),
        (["--model", "no_such_model"], "No model 'no_such_model'"),
        (["--model", NAME, "--weights", "none.pth"], "does not exist"),
        (["--weights", "some.pth"], "name it by --model"),
        (["--class-names", "none.txt"], "no file 'none.txt'"),
        (["--save", "page.html"], "ends in .ipynb"),
        (["--device", "abacus"], "--device abacus: RuntimeError"),
        (["--device", "meta"], "--device meta"),
        (["--html", "page.pdf"], "ends in .html"),
        (["--model", "swin_tiny_patch4_window7_224", "--weights", __file__], "cannot be read"),
    ],
)
def test_a_command_that_cannot_be_done_ends_in_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("vaw: ")
    assert message in error
    assert error.count("\n") == 1


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    options = ("--model", "--library", "--weights", "--class-names", "--save", "--port")
    for option in (*options, "--device", "--theme"):
        assert option in text
    with pytest.raises(SystemExit):
        main(["--port", "70000"])
    assert "no port" in capsys.readouterr().err
