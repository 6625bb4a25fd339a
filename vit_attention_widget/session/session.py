"""A model, an image, what is selected of them, and what was computed about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from torch import nn
from traitlets import Bunch

from ..comparison.result import Comparison
from ..data.items import ImagesLike
from ..data.labels import with_names_of
from ..errors import ParameterError, StaleTraceError
from ..importance.interactions import HeadInteractions
from ..importance.metrics import Metric
from ..lens.result import LogitLens
from ..models import VisionTransformer, describe
from ..models.class_names import ClassNamesLike
from ..models.head_index import head_pairs
from ..models.images import ImageLike
from ..models.output_kind import OutputKind
from ..overview.result import ImageOverview
from ..overview.stored.images import StoredImages, is_store
from ..patterns import AttentionPatterns
from ..protocol.schema.results import Compared as Kind
from ..protocol.schema.results import ModelFormat
from ..pruning.curve import Order
from ..strength import AttentionStrength
from ..support.progress import Progress
from ..targets.user_target import TargetLike
from ..tracing.checks.classes import without_misfit_names
from ..tracing.trace import Trace
from .attention import AttentionPayloads
from .brought import BroughtPictures
from .context import Context
from .description import describe_subject
from .history import History
from .image_set import ImageSet
from .lanes import Job
from .looking import PROMPTS_SLOT, Looking
from .prompts import Prompts
from .selections import CheckedSelections
from .studies import Studies
from .studies.layer_decisions import LAYER_DECISIONS_SLOT
from .subject import Subject
from .traces import Traces
from .traits import OPTIONS, SELECTIONS

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .traits import Selections


__all__ = ["Session"]


class Session(CheckedSelections):
    """What the user looks at: shared by all widgets that show it.

    Parameters
    ----------
    model : nn.Module or VisionTransformer
        A supported Vision Transformer; it is never changed. Or its description, by
        :func:`~vit_attention_widget.describe`, ``zero_shot`` or ``adapt``.
    image : image
        A path, bytes, PIL image, HWC uint8 array, or a float tensor taken as model input.
    target : int, str, None, or one of :mod:`~vit_attention_widget.targets`
        The class to explain; None follows the predicted class; see also :meth:`explain`.
    image_set : optional
        Further images for what is said of many: a list of images or of (image, label), or a data
        set. With labels the accuracy is counted, with and without the pruned heads. What it yields
        is kept as model input. Or a folder that ``store=`` of
        :func:`~vit_attention_widget.head_importance`, ``image_overview`` or ``attention_strength``
        fills, or has filled: what it says of its images is shown as far as it is there.
    patterns : AttentionPatterns, optional
        A map of attention patterns that was made of this model; see also :meth:`learn_patterns`.
    models : dict, optional
        Other models by name, whose maps can be compared with this one's.
    class_names : sequence of str, mapping or path, optional
        What the classes are called: a list, ``{index: name}``, or a .txt or .json file of these. By
        default what the model's configuration says, or else the image set.
    output : {"softmax", "sigmoid", "value", "features"}, optional
        What the numbers that the model returns stand for, see
        :func:`~vit_attention_widget.describe`; found by default.
    **selection
        Any of the selections, see :class:`~.traits.SelectionTraits`.

    Raises
    ------
    UnsupportedModelError, ImageError, TargetError, ParameterError

    Notes
    -----
    Computing happens in threads of its own: one for what is waited for, one for what takes long,
    one for what takes minutes. The latest request wins. :meth:`wait` blocks until all is done.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> session.wait()
    True
    >>> session.pruned_heads = [(0, 1)]
    >>> session.wait() and len(session.top5)
    5
    >>> session.close()
    """

    def __init__(
        self,
        model: nn.Module | VisionTransformer,
        image: ImageLike,
        target: TargetLike = None,
        *,
        image_set: ImagesLike | None = None,
        patterns: AttentionPatterns | None = None,
        models: Mapping[str, nn.Module | VisionTransformer] | None = None,
        class_names: ClassNamesLike | None = None,
        output: OutputKind | None = None,
        **selection: Unpack[Selections],
    ) -> None:
        unknown = [name for name in selection if name not in OPTIONS]
        if unknown:
            raise ParameterError(
                f"There is no option {unknown[0]!r}: choose from {', '.join(OPTIONS)}."
            )
        others = {name: describe(other) for name, other in (models or {}).items()}
        vit = describe(model, class_names=class_names, output=output)
        folder = image_set if is_store(image_set) else None
        image_set = None if is_store(image_set) else image_set
        vit = vit if image_set is None else with_names_of(image_set, vit)
        vit = vit if class_names is not None else without_misfit_names(vit)
        subject = Subject.of(vit, image)
        images = None if image_set is None else ImageSet.read(subject.vit, image_set)
        stored = None if folder is None else StoredImages(folder, subject.vit)
        self._context = context = Context(self, subject, images, others, stored)
        self._studies = Studies(context)
        self._attention = AttentionPayloads(context)
        self._traces = Traces(context, self._attention, self._studies.follow_trace)
        self._brought_pictures = BroughtPictures(context)
        self._looking = Looking(context, self._traces, self._studies, self._brought_pictures)
        context.look_again = self._looking.again
        self._prompts = Prompts(context, self._looking, self._studies)
        explained = context.explained
        is_class = target is None or isinstance(target, int | str)
        explained.other = None if is_class else target
        explained.follows_prediction = target is None or not is_class
        first = {
            "target": target if is_class else None,
            "method": "daam" if context.explains else "rollout",
            "selected_layer": subject.vit.num_layers - 1,
            "selected_head": -1,
            "selected_token": subject.first_token,
        }
        with context.quietly():
            super().__init__(**{**first, **selection})
        self._pruning = History(context)
        self.patterns = patterns
        self.observe(self._on_selection, names=list(SELECTIONS))
        self._looking.begin()

    # What is looked at ---------------------------------------------------------------------------

    @property
    def model(self) -> nn.Module:
        """The user's model. Assign another one to look at it with the same image."""
        return self._context.vit.model

    @model.setter
    def model(self, model: nn.Module) -> None:
        self.look_at(model=model)

    @property
    def number_of_images(self) -> int:
        """How many images can be looked at by ``selected_image``; 0 without a set of images."""
        images = self._context.openable
        return 0 if images is None else len(images)

    @property
    def described(self) -> VisionTransformer:
        """What is known of the model, as :func:`~vit_attention_widget.describe` says it."""
        return self._context.vit

    @property
    def image(self) -> ImageLike:
        """The image as it was given, or the model input of the selected one of the set.

        Assign another one to look at it; its predicted class is explained.
        """
        return self._context.subject.image

    @image.setter
    def image(self, image: ImageLike) -> None:
        self.look_at(image=image)

    def look_at(
        self,
        *,
        model: nn.Module | VisionTransformer | None = None,
        image: ImageLike | None = None,
    ) -> None:
        """Change the model, the image or both; selections that still exist are kept.

        Of another model or image the predicted class is explained until one is chosen; a target
        that is no class stays while other images are looked at. What another model's classes are
        called, and what its outputs are, is said by
        ``model=vaw.describe(model, class_names=..., output=...)``.

        Raises
        ------
        UnsupportedModelError, ImageError, TargetError
            Then everything stays as it was.
        """
        self._looking.look_at(model=model, image=image)

    # What is explained ---------------------------------------------------------------------------

    def explain(self, target: TargetLike) -> None:
        """Explain a class, or anything else that :func:`~vit_attention_widget.trace` takes.

        Maps, and the importance of heads by gradient, are then of that; it stays while other images
        are looked at, until a class is chosen.

        Parameters
        ----------
        target : None, int, str, callable, or one of :mod:`~vit_attention_widget.targets`

        Raises
        ------
        TargetError
            If there is no such class. What a target finds out later, of an image, is in ``status``.
        """
        if target is None or isinstance(target, int | str):
            self.target = target
            return
        with self._context.lock:
            self._context.explained.other = target
            describe_subject(self._context)
            self._traces.start("another target")

    @property
    def prompts(self) -> list[str]:
        """Text prompts that stand for classes; see :meth:`set_prompts`."""
        return self._prompts.texts

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Take other prompts for classes, for models with a text tower; none leaves the tower.

        The prompt that is explained stays so if it is among them.

        Raises
        ------
        TargetError
            If the model has no text tower, or no tokenizer is known.
        """
        self._prompts.set(prompts)

    def _chose_target(self, value: SupportsIndex | str | None) -> None:
        if not self._context.is_quiet and self._aim_at_class(value):
            self._traces.start("another class")  # the class that was selected all along

    def _aim_at_class(self, value: SupportsIndex | str | None) -> bool:
        """Explain a class from now on; whether another target was explained until now."""
        explained = self._context.explained
        explained.follows_prediction, other = value is None, explained.other
        if self.decision and other is None:
            self.decision = {**self.decision, "follows_prediction": value is None}
        if other is not None:
            explained.other = None
            describe_subject(self._context)
        return other is not None

    def _on_selection(self, change: Bunch) -> None:
        """Do what a user's choice asks for."""
        context, name, value = self._context, change["name"], change["new"]
        if name == "metric":
            self._studies.importance.publish()
        elif context.is_quiet:
            return
        elif name == "selected_image":
            self._looking.open_selected()
        elif name == "target":
            self._aim_at_class(value)
            if context.whole is None or context.whole.target.index != (value,):
                self._traces.start("another class")
        elif name == "pruned_heads":
            self._traces.start("without these heads")
        elif name == "selected_layer":
            self.selected_head = min(self.selected_head, context.vit.num_heads[value] - 1)
        elif context.whole is None:
            return
        elif name == "method":
            self._studies.maps.follow_method()

    def undo(self) -> bool:
        """Take the last step back: a change of ``pruned_heads``, or what was selected in a widget.

        Returns
        -------
        bool
            Whether there was anything to undo.
        """
        return self._pruning.undo()

    def redo(self) -> bool:
        """Do again what :meth:`undo` took back.

        Returns
        -------
        bool
            Whether there was anything to redo.
        """
        return self._pruning.redo()

    # What was found out --------------------------------------------------------------------------

    @property
    def trace(self) -> Trace | None:
        """The trace of what is shown: with the pruned heads masked. None until it is there."""
        return self._context.trace

    @property
    def top5(self) -> list[tuple[str, float]]:
        """The five most probable classes with their probabilities, as the model stands now.

        All of a model with fewer; the largest values of a model of values.
        """
        trace, vit = self.trace, self._context.vit
        if trace is None or not vit.has_classes:
            return []
        each = trace.probabilities[0]
        best = each.topk(min(5, len(each)))
        pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [(vit.class_name(i), p) for p, i in pairs]

    @property
    def attributions(self) -> Mapping[str, NDArray[np.float32]]:
        """Maps by method, each [layer, row, col]; ``"daam.before"`` is without pruning.

        Of a large model (many layers and patches) those of the methods that were selected.
        """
        return dict(self._studies.maps.maps)

    def pruned_model(self) -> nn.Module:
        """A smaller copy of the model without the pruned heads; see ``prune_heads``."""
        from ..pruning.cut import prune_heads  # here: it needs timm

        return prune_heads(self._context.vit, self.pruned_heads)

    # What is computed when it is asked for -------------------------------------------------------

    def prune_partly(self, layer: int, head: int) -> None:
        """Find out which part of a head's attention the decision rests on; see ``partial``.

        Raises
        ------
        ParameterError
            If the layer or head does not exist.
        """
        self._studies.partial.prune(layer, head)

    def draw_curve(self, order: Order = "probability") -> None:
        """Mask heads one after another in an order of ``ORDERS``; see ``curves``.

        On the set of images, if there is one, else on the image.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        self._studies.curves.draw(order)

    def prune_to(self, keep: float = 0.99, *, order: Order = "taylor") -> None:
        """Mask heads one after another until less than a share is left, and prune those before.

        The curve is drawn as by :meth:`draw_curve`; :meth:`cancel` stops it, :meth:`undo` puts the
        heads back.

        Parameters
        ----------
        keep : float
            The share of the whole model's accuracy on the labeled set, else of the mean probability
            of its classes; of values that which may not move further than by the rest.
        order : str
            One of ``ORDERS``.

        Raises
        ------
        ParameterError
            If there is no such order or share.
        """
        self._studies.curves.draw(order, keep)

    def save_pruned_model(
        self, path: str | Path | None = None, *, file_format: ModelFormat = "safetensors"
    ) -> None:
        """Write the model without the pruned heads; ``saved_model`` says where it is.

        Parameters
        ----------
        path : str or Path, optional
            By default a new name in the folder in which Python runs.
        file_format : {"safetensors", "ONNX"}
            As :func:`~vit_attention_widget.save_pruned` writes it, or for any ONNX runtime.

        Raises
        ------
        ParameterError
            If no head is pruned, or there is no such format.
        """
        self._studies.saved_model.save(file_format, path)

    @property
    def saved_model(self) -> Path | None:
        """Where the pruned model was saved last, as it is pruned now; None where it was not."""
        saved = self._saved_model
        return Path(saved["path"]) if "path" in saved else None

    @property
    def importance_before(self) -> NDArray[np.float32] | None:
        """Importance [layer, head] by the selected metric with every head in place.

        To be held against ``importance`` while heads are pruned; None where it is not known, see
        :meth:`measure_importance_before`.
        """
        before = self._studies.importance.before
        if before is None or self.metric not in before:
            return None
        return before[self.metric].copy()

    def measure_importance_before(self) -> None:
        """Measure ``importance_before``, where heads were pruned before all were measured."""
        self._studies.importance.measure_before()

    @property
    def interactions(self) -> HeadInteractions | None:
        """How heads depend on each other; None until it was measured.

        What :func:`~vit_attention_widget.head_interactions` found on many images may be assigned:
        it stays while other images are looked at. :meth:`measure_interactions` measures this one.
        """
        return self._studies.interactions.interactions

    @interactions.setter
    def interactions(self, interactions: HeadInteractions | None) -> None:
        self._studies.interactions.interactions = interactions

    def measure_interactions(self, metric: Metric | None = None) -> None:
        """Mask each head of the whole model in turn, and measure the others again.

        Parameters
        ----------
        metric : str, optional
            By default the selected one.

        Raises
        ------
        ParameterError
            If there is no such metric for what is explained.
        """
        self._studies.interactions.measure(metric)

    @property
    def strength(self) -> AttentionStrength | None:
        """Strength of every head on the image as it is shown; None until it was measured."""
        return self._studies.strength.strength

    def measure_strength(self) -> None:
        """Measure how far the heads attend; see ``strength``."""
        self._studies.strength.measure()

    def measure_strength_of_set(self) -> None:
        """Measure the entropy of every head on every image of the set.

        Raises
        ------
        ParameterError
            If the session was given no ``image_set``.
        """
        self._studies.strength.measure_set()

    @property
    def layer_decisions(self) -> LogitLens | None:
        """What each layer and patch would decide, with the pruned heads masked.

        None until it was read out; of layers alone where patches cannot be read out by themselves.
        """
        return self._studies.layer_decisions.lens

    def read_out_layers(self) -> None:
        """Read out every layer by the model's own norm and head; see ``layer_decisions``.

        As :func:`~vit_attention_widget.logit_lens` does, of the image as it is shown.
        """
        self._studies.layer_decisions.measure()

    @property
    def patterns(self) -> AttentionPatterns | None:
        """The map of attention patterns; None until one was learned or given."""
        return self._studies.patterns.patterns

    @patterns.setter
    def patterns(self, patterns: AttentionPatterns | None) -> None:
        self._studies.patterns.patterns = patterns

    def learn_patterns(self) -> None:
        """Learn the patterns of all heads over the set of images, or over the image without one.

        Raises
        ------
        ParameterError
            If the libraries that this needs are not installed.
        """
        self._studies.patterns.learn()

    def place_heads(self) -> None:
        """Place the heads of the image as it is shown on the map of attention patterns."""
        self._studies.patterns.place_heads()

    @property
    def compared(self) -> Comparison | None:
        """What was compared last; None until then."""
        compared = self._studies.comparison.compared
        return None if compared is None else compared.comparison

    def compare_maps(
        self,
        of: Kind = "methods",
        method: str | None = None,
        classes: Sequence[int | str] | None = None,
    ) -> None:
        """Compare maps of the image as it is shown; see ``compared``.

        Parameters
        ----------
        of : {"methods", "classes", "layers", "images", "models"}
            Every method for the class that is explained; or one method for the likely classes,
            after each layer, on each image of the set for the image's own class, or in each of the
            models that were given.
        method : str, optional
            Which one; None takes the selected one.
        classes : sequence, optional
            Classes beside the likely ones.

        Raises
        ------
        ParameterError, TargetError
            If there is no such thing to compare.
        """
        self._studies.comparison.compare(of, method, classes)

    def score_map(self) -> None:
        """Score the map that is selected, as it stands after the selected layer.

        See ``faithfulness``: 10 steps of insertion and 10 of deletion.

        Raises
        ------
        ParameterError
            If nothing is explained.
        """
        self._studies.faithfulness.score_map()

    def score_compared(self) -> None:
        """Score every map of the comparison, as they come; see ``faithfulness``.

        Raises
        ------
        ParameterError
            If nothing was compared yet, or nothing is explained.
        """
        self._studies.faithfulness.score_compared()

    def cancel_scores(self) -> None:
        """Stop scoring; what was scored stays."""
        self._studies.faithfulness.cancel()

    @property
    def image_overview(self) -> ImageOverview | None:
        """The images as they were laid out last; None until then."""
        return self._studies.images.overview

    def show_images(self) -> None:
        """Show all images of the set, in order.

        Raises
        ------
        ParameterError
            If the session was given no ``image_set``.
        """
        self._studies.images.show()

    def lay_out_images(self, metric: Metric = "probability") -> None:
        """Lay the images out by what the heads of the whole model do for each.

        Parameters
        ----------
        metric : str
            One of the metrics of head importance; ``"taylor"`` is an estimate and fast.

        Raises
        ------
        ParameterError
            If there is no such metric, no set of images, or no class that a head could matter for.
        """
        self._studies.images.lay_out(metric)

    def look_at_store(self) -> None:
        """Read what has come into the folder since the last look; widgets do so by themselves.

        Raises
        ------
        ParameterError
            If the session's ``image_set`` is no folder.
        """
        self._studies.stored_images.look()

    # Work ----------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything asked for is computed; False after ``timeout`` seconds."""
        return self._context.lanes.wait(timeout)

    def cancel(self) -> None:
        """Stop what is being computed; what is there stays, and what is pruned goes back to it.

        What takes long can :meth:`go_on`.
        """
        context, lanes = self._context, self._context.lanes
        context.pause()
        lanes.pages.cancel()
        lanes.quick.cancel(PROMPTS_SLOT)
        lanes.quick.cancel(LAYER_DECISIONS_SLOT)
        with context.lock:
            shown = context.trace
            if shown is None:  # there is nothing to go back to
                lanes.quick.pause("trace")
            else:
                lanes.quick.cancel("trace")
                explained = context.explained
                explained.restore()
                follows = explained.follows_prediction and explained.other is None
                if self.decision:  # "the predicted class" was said at once
                    self.decision = {**self.decision, "follows_prediction": follows}
                describe_subject(context)
                with context.quietly():
                    self.pruned_heads = head_pairs(shown.head_mask)
                self._traces.show_target()
            context.report()  # what had not begun ends without a word

    def go_on(self) -> None:
        """Go on with what :meth:`cancel` stopped, as ``status["paused"]`` says.

        Heads, curves and images that were done are not computed again; what has no steps starts
        anew.
        """
        self._context.go_on()

    def close(self, timeout: float = 10.0) -> None:
        """Stop all work and let go of the model.

        Parameters
        ----------
        timeout : float
            How long to wait for the session's threads to end, in seconds: work stops at its next
            sign of progress. From one of these threads it does not wait.
        """
        self._context.lanes.close(timeout)
        self.unobserve_all()
        self._looking.reset()
        self._brought_pictures.forget()

    def __del__(self) -> None:
        context = self.__dict__.get("_context")
        if context is not None:
            context.lanes.close()

    # What widgets answer a browser with ----------------------------------------------------------

    @property
    def studies(self) -> Studies:
        """What was found out, in the form in which the browser takes it."""
        return self._studies

    @property
    def brought(self) -> BroughtPictures:
        """Pictures that are brought along in the browser."""
        return self._brought_pictures

    @property
    def attention(self) -> AttentionPayloads:
        """Attention rows and layers, in the form in which the browser takes them."""
        return self._attention

    def ask(
        self,
        slot: str,
        work: Callable[[], bytes],
        done: Callable[[bytes], None],
        failed: Callable[[BaseException], None],
        cancelled: Callable[[], None],
    ) -> None:
        """Answer a browser's request in the quick lane, by exactly one of the last three."""
        context = self._context

        def checked(_: Progress) -> bytes:
            context.check_model()
            return work()

        def told(error: BaseException) -> None:
            failed(error)
            if isinstance(error, StaleTraceError):
                context.take_change(error)

        context.lanes.quick.submit(Job(_request(slot), "", checked, done, told, cancelled))

    def ask_for_page(
        self,
        slot: str,
        work: Callable[[Progress], bytes],
        done: Callable[[bytes], None],
        failed: Callable[[BaseException], None],
        cancelled: Callable[[], None],
    ) -> None:
        """Answer a browser's request by what waits for all else, by exactly one of the last three.

        One at a time; the status says how far it is, and :meth:`cancel` stops it.
        """
        job = Job(_request(slot), "saving the page", work, done, failed, cancelled)
        self._context.lanes.pages.submit(job)

    def forget(self, slot: str) -> None:
        """Cancel a request of :meth:`ask`."""
        self._context.lanes.quick.cancel(_request(slot))


def _request(slot: str) -> str:
    """A slot that no work of the session's own has, whatever a browser calls its requests."""
    return f"request {slot}"
