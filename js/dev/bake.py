"""A widget as a page of its own, with much of what can be asked of it, to look at its views.

``python js/dev/bake.py explorer out.html [--model NAME --weights FILE --image FILE] [--dark]``
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import vit_attention_widget as vaw

WIDGETS = {
    widget.stem: widget
    for widget in (
        vaw.AttentionInspector,
        vaw.AttentionPatternMap,
        vaw.CompareView,
        vaw.DAAMScrubber,
        vaw.Explorer,
        vaw.HeadImportanceGrid,
        vaw.HeadStrengthView,
    )
}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", choices=WIDGETS)
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
    parser.add_argument("--backups", action="store_true", help="find backup heads")
    parser.add_argument("--store", help="a folder that head_importance(..., store=) has filled")
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
        image_set=options.store or images(options.set),
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
    session.measure_importance_before()
    session.wait()
    if options.backups:
        session.measure_interactions()
        session.wait()
    if options.store:
        session.look_at_store()
        session.wait()
    if options.set:
        session.show_images()
        if options.lay_out:
            session.lay_out_images(options.lay_out)
        session.wait()
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
    own: dict[str, object] = {"panels": options.panels.split(",")} if options.panels else {}
    widget = WIDGETS[options.stem](session=session, **own)
    if options.tour >= 0:
        widget.tour_step = options.tour
    print(widget.to_html(options.out, max_megabytes=50, theme="dark" if options.dark else "light"))
    session.close()


if __name__ == "__main__":
    main()
