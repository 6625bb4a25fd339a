"""``vaw``: the Explorer in the browser, on any picture, with one line in a terminal."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from ..errors import ParameterError, VitAttentionError
from ..export.document import Theme
from .choice import Choice
from .notebook import save_notebook
from .server import LOCAL, USUAL_PORT, check_installed, free_port, serve
from .which_library import LIBRARIES

__all__ = ["main"]

_EXAMPLES = """\
examples:
  vaw                                                 the bundled model on a drawn scene
  vaw cat.jpg --model vit_base_patch16_224            any model of timm, by its name
  vaw cat.jpg --model google/vit-base-patch16-224     of transformers, or a folder of it
  vaw cat.jpg --model vit_small_patch16_224 --weights mine.safetensors --class-names names.txt
  vaw cat.jpg --model vit_base_patch16_224 --html cat.html

Nothing but this machine can open the page, unless --host says so; the address holds a token.
"""


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(
        prog="vaw",
        description="See what a Vision Transformer looks at: open the Explorer in your browser.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("image", nargs="?", metavar="IMAGE", help="a picture; by default a drawn scene")
    add("--model", metavar="NAME|PATH",
        help="a model's name, or a folder that save_pretrained() wrote; "
        "by default the small bundled model")  # fmt: skip
    add("--library", choices=LIBRARIES, help="whose model it is, where the name does not tell")
    add("--weights", metavar="FILE",
        help="weights as .safetensors or a state_dict of torch.save; "
        "no code in it is run; by default the library's own")  # fmt: skip
    add("--class-names", metavar="FILE", help="a .txt with a class a line, or a .json")
    add("--device", metavar="DEVICE",
        help="where the model runs, as PyTorch says it: cpu, cuda, cuda:1, mps; "
        "by default the CPU")  # fmt: skip
    add("--theme", choices=get_args(Theme), default="auto",
        help="light or dark; by default a file follows its reader's system, and the page that "
        "is opened is light")  # fmt: skip
    add("--html", metavar="FILE",
        help="write one file that needs no Python, instead of opening the page")  # fmt: skip
    add("--save", metavar="FILE", help="also write the notebook that the page is made of (.ipynb)")
    add("--port", type=_port, metavar="N",
        help=f"by default the first free one from {USUAL_PORT} on")  # fmt: skip
    add("--host", default=LOCAL, metavar="ADDRESS",
        help="listen for other machines too, e.g. 0.0.0.0 for all that reach this one")  # fmt: skip
    add("--no-browser", action="store_true", help="print the address only")
    return made


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where it went well, 1 with a sentence where it did not, 130 on Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        _run(options)
    except VitAttentionError as error:
        print(f"vaw: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    choice = Choice(
        options.image, options.model, options.library, options.weights, options.class_names,
        options.device,
    )  # fmt: skip
    choice.check_files()
    if options.save is not None:
        _refuse_other(options.save, "--save", ".ipynb")
    if options.html is not None:
        _refuse_other(options.html, "--html", ".html")
    else:
        check_installed()
        port = free_port(options.host, options.port)  # before anything that takes long
    if choice.model is not None:
        _say(f"Loading {choice.model} ...")
    elif choice.image is not None:
        _say("The bundled model knows ten kinds of drawn objects; --model names another.")
    if options.html is not None:
        _write_page(choice, options.html, options.theme)
    elif choice.model is not None:
        choice.described()  # what the page will load: what is wrong with it is said here
    if options.save is not None:
        save_notebook(choice, Path(options.save).expanduser())
        _say(f"The notebook is {options.save}")
    if options.html is None:
        _open(choice, options.host, port, not options.no_browser, options.theme)


def _write_page(choice: Choice, path: str, theme: Theme) -> None:
    explorer = choice.explorer()
    try:
        page = explorer.to_html(Path(path).expanduser(), theme=theme)
    finally:
        explorer.close()
    _say(f"The page is {path} ({page.megabytes:.1f} MB); it needs neither Python nor a network.")


def _open(choice: Choice, host: str, port: int, browser: bool, theme: Theme) -> None:
    with tempfile.TemporaryDirectory(prefix="vaw-", ignore_cleanup_errors=True) as folder:
        page = Path(folder, f"{_title(choice.image)}.ipynb")
        save_notebook(choice, page)
        serve(page, host, port, browser, _say, dark=theme == "dark")


def _title(image: str | None) -> str:
    """What the page is called; a server shows no hidden file, and long names are none."""
    return Path(image or "scene").stem.lstrip(".")[:60] or "picture"


def _refuse_other(path: str, option: str, ending: str) -> None:
    if Path(path).suffix != ending:
        raise ParameterError(
            f"{option} writes a file that ends in {ending}, and {path!r} does not."
        )


def _say(line: str) -> None:
    print(line, flush=True)
