"""Bake a session into one HTML file, to look at a view without a kernel.

``python js/dev/bake.py explorer out.html [--model NAME --weights FILE --image FILE] [--dark]``
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
from pathlib import Path

import vit_attention_widget as vaw
from vit_attention_widget.session.traits import RESULTS, SELECTIONS
from vit_attention_widget.widgets.explorer import PANELS
from vit_attention_widget.widgets.tour import checked, usual_tour

STATIC = Path(vaw.__file__).parent / "static"
STREAMED_TOKENS = 600
"""Above it a page does not ask for whole matrices (``js/src/state/attention.ts``)."""
DARK = {
    "--jp-layout-color1": "#111417",
    "--jp-layout-color2": "#1e2328",
    "--jp-ui-font-color1": "#e6e9ec",
    "--jp-ui-font-color2": "#a3adb8",
    "--jp-border-color2": "#343b42",
}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def load(options: argparse.Namespace) -> tuple[object, object]:
    if options.prompts:
        import open_clip

        vision = {"image_size": 64, "patch_size": 8, "width": 48, "layers": 6, "head_width": 12}
        text = {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
        clip = open_clip.CLIP(16, vision, text).eval()
        return vaw.zero_shot(clip, options.prompts), vaw.demo.scene(seed=1).image
    if not options.model:
        return demo_model(options.output), vaw.demo.two_objects(208, ("heart", "star")).image
    import timm
    from safetensors.torch import load_file

    model = timm.create_model(options.model).eval()
    if options.weights:
        state = {name: tensor.float() for name, tensor in load_file(options.weights).items()}
        model.load_state_dict(state)
    return model, options.image


def demo_model(output: str | None) -> object:
    """The bundled model; its outputs read otherwise, or only the one of a star."""
    import torch

    model = vaw.demo.load_model()
    if output in ("binary", "value"):
        star, head = vaw.demo.KINDS.index("star"), model.head
        model.head = torch.nn.Linear(head.in_features, 1)
        with torch.no_grad():
            model.head.weight.copy_(head.weight[star : star + 1])
            model.head.bias.copy_(head.bias[star : star + 1])
        names = ["star"]
        return vaw.describe(
            model, output="sigmoid" if output == "binary" else "value", class_names=names
        )
    if output == "features":
        model.reset_classifier(0)
    return vaw.describe(model, output=output)


def images(given: str | None) -> list[tuple[object, int]] | None:
    """Labelled scenes, or the photographs of a manifest whose class of ImageNet is known."""
    if not given:
        return None
    if given.isdigit():
        scenes = (vaw.demo.scene(seed=seed) for seed in range(int(given)))
        return [(scene.image, scene.label) for scene in scenes]
    with Path(given).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["imagenet_class"].isdigit()]
    return [(Path(given).parent / row["file"], int(row["imagenet_class"])) for row in rows]


def in_script(value: object) -> str:
    """JSON that does not end the script in which it stands."""
    return json.dumps(value).replace("</", "<\\/")


def page(
    session: vaw.Session,
    stem: str,
    panels: list[str] | None = None,
    replies: dict[str, str] | None = None,
    dark: bool = False,
    step: int = -1,
) -> str:
    """HTML of a widget with all that the session has found, and what the kernel would answer."""
    state = {}
    for name in (*SELECTIONS, *RESULTS):
        value = getattr(session, name)
        state[name] = {"bytes": text(value)} if isinstance(value, bytes) else value
    if panels is not None:
        state["panels"] = panels
    if stem == "explorer":
        state |= {"_tour": checked(session, usual_tour(session), PANELS), "tour_step": step}
    css = (STATIC / "style.css").read_text()
    state["_css"] = css
    info = session._model_info
    streamed = range(info["num_layers"] if info["num_tokens"] <= STREAMED_TOKENS else 0)
    layers = [text(session.attention.layer(layer)) for layer in streamed]
    style = "".join(f"{name}: {value};" for name, value in DARK.items()) if dark else ""
    script = text((STATIC / f"{stem}.js").read_bytes())
    host = Path(__file__).with_name("host.js").read_text()
    return f"""<!doctype html><meta charset="utf-8">
<style>
{css}
body {{ margin: 0; background: var(--jp-layout-color1, #fff); }}
</style>
<body style="{style}" data-jp-theme-light="{str(not dark).lower()}"><div id="widget"></div>
<script type="module">
const SCRIPT = "{script}";
const STATE = {in_script(state)};
const LAYERS = {json.dumps(layers)};
const REPLIES = {in_script(replies or {})};
{host}
</script>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--weights")
    parser.add_argument("--output", help="of the bundled model: sigmoid, binary, value, features")
    parser.add_argument("--image")
    parser.add_argument("--prune", default="", help="e.g. 2-0,5-1")
    parser.add_argument("--curves", default="", help="e.g. taylor,random")
    parser.add_argument("--panels", default="", help="of the Explorer, e.g. picture,heads,strength")
    parser.add_argument("--patterns", help="a saved map of attention patterns")
    parser.add_argument("--set", help="how many scenes, or a manifest of labelled photographs")
    parser.add_argument("--lay-out", help="the images of the set by a metric, e.g. taylor")
    parser.add_argument("--compare", help="methods, classes, layers or images")
    parser.add_argument("--score", action="store_true", help="score the map, and compared ones")
    parser.add_argument("--prompts", nargs="+", help="of a small random CLIP model")
    parser.add_argument("--open", type=int, default=-1, help="an image of the set")
    parser.add_argument("--method", help="the selected method, e.g. occlusion")
    parser.add_argument("--tour", type=int, default=-1, help="a step of the usual tour")
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    pruned = [tuple(map(int, pair.split("-"))) for pair in options.prune.split(",") if pair]
    session = vaw.Session(
        *load(options),
        pruned_heads=pruned,
        image_set=images(options.set),
        selected_image=options.open,
    )
    session.wait()
    if options.method:
        session.method = options.method
        session.wait()
    if session._model_info["by_class"]:
        session.prune_partly(session.selected_layer, max(0, session.selected_head))
    for order in filter(None, options.curves.split(",")):
        session.draw_curve(order)
        session.wait()
    session.measure_strength()
    session.read_out_layers()
    session.measure_importance_before()
    session.wait()
    replies = {}
    if options.set:
        session.show_images()
        if options.lay_out:
            session.lay_out_images(options.lay_out)
        session.wait()
        for index in range(min(40, session._model_info["set_size"])):
            replies[f"image {index}"] = text(session.studies.images.picture(index))
    if options.compare:
        session.compare_maps(options.compare)
        session.wait()
    if options.score:
        session.score_map()
        session.wait()
    if options.score and options.compare:
        session.score_compared()
        session.wait()
    if options.patterns:
        session.patterns = vaw.AttentionPatterns.load(options.patterns)
        session.place_heads()
        session.wait()
        study = session.studies.patterns
        for family, _ in session.patterns:
            replies[f"pattern_map {family}"] = text(study.points(family))
            replies[f"pattern_thumbnails {family}"] = text(study.thumbnails(family))
            replies[f"pattern_at {family}"] = text(study.point(family, 0))
    panels = options.panels.split(",") if options.panels else None
    options.out.write_text(page(session, options.stem, panels, replies, options.dark, options.tour))
    session.close()


if __name__ == "__main__":
    main()
