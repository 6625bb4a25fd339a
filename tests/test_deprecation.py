"""Old names work as the new ones do, and the warning is about the line that used them."""

from __future__ import annotations

import sys
import types
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import traitlets
from renamed import warned

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.support.deprecation import (
    REMOVED_IN,
    renamed_attribute,
    renamed_choice,
    renamed_keywords,
    renamed_names,
    reordered_arguments,
    warn_renamed,
)

OLD_CHOICES = {"looks_at": "attends_to"}


def line_number() -> int:
    return sys._getframe(1).f_lineno


@renamed_keywords({"normalise": "normalize"})
def scale(value: float, *, normalize: bool = True) -> tuple[float, bool]:
    """What a docstring says."""
    return value, normalize


class Scaler:
    @renamed_keywords({"normalise": "normalize"})
    def __init__(self, normalize: bool = True) -> None:
        self.normalize = normalize

    @renamed_keywords({"by": "factor", "plus": "offset"})
    def scale(self, *, factor: float, offset: float = 0) -> float:
        return factor + offset


def call(function: Any, **keywords: Any) -> Any:
    """Old keywords are no part of the signature that type checkers see."""
    return function(**keywords)


def test_a_renamed_keyword_is_taken_by_its_old_name() -> None:
    with warned("scale(normalise=...) is now scale(normalize=...)"):
        assert call(scale, value=2, normalise=False) == (2, False)
    assert scale(2, normalize=False) == (2, False)
    assert scale.__doc__ == "What a docstring says."


def test_a_renamed_keyword_of_a_class_or_method() -> None:
    with warned("Scaler(normalise=...) is now Scaler(normalize=...)"):
        assert call(Scaler, normalise=False).normalize is False
    with pytest.warns(DeprecationWarning, match=r"Scaler\.scale\((by|plus)=") as record:
        assert call(Scaler().scale, by=2, plus=3) == 5
    assert len(record) == 2


def test_a_keyword_is_not_taken_twice() -> None:
    with pytest.raises(TypeError, match="got both 'normalize' and 'normalise'"):
        call(scale, value=2, normalise=False, normalize=True)
    with (
        pytest.warns(DeprecationWarning, match="normalise="),
        pytest.raises(TypeError, match=r"multiple values .* 'normalize'"),
    ):
        call(lambda **old: Scaler(True, **old), normalise=False)


@reordered_arguments("image", "factor", "target", moved=lambda args: isinstance(args[0], float))
def enlarge(image: str, target: str | None = None, *, factor: float = 2) -> tuple[object, ...]:
    """What a docstring says."""
    return image, target, factor


class Album:
    @reordered_arguments("self", "page", "image", moved=lambda args: len(args) == 2)
    def turn(self, image: str, *, page: int) -> tuple[str, int]:
        return image, page


def test_arguments_are_taken_in_their_old_order() -> None:
    old: Any = enlarge
    message = "enlarge(image, factor, target) is now enlarge(image, target, factor=...)"
    with warned(message):
        assert old("a", 3.0, "cat") == ("a", "cat", 3)
    with warned(message):
        assert old("a", 3.0, target="cat") == ("a", "cat", 3)
    with warned(message):
        assert old("a", 3.0) == ("a", None, 3)
    assert enlarge("a") == ("a", None, 2)
    assert enlarge("a", "cat") == ("a", "cat", 2)
    assert enlarge("a", "cat", factor=3) == ("a", "cat", 3)
    assert old("a", 3.0, factor=4) == ("a", 3.0, 4)  # a factor is given, so 3.0 is none
    assert enlarge.__doc__ == "What a docstring says."
    turn: Any = Album().turn
    with warned("Album.turn(page, image) is now Album.turn(image, page=...)"):
        assert turn(3, "a") == ("a", 3)


def test_arguments_in_neither_order_are_refused() -> None:
    old: Any = enlarge
    turn: Any = Album().turn
    for wrong in [("a", "cat", 3), ("a", 3.0, "cat", 4)]:
        with pytest.raises(ParameterError, match=r"call enlarge\(image, target, factor=\.\.\.\)"):
            old(*wrong)
    with pytest.raises(ParameterError, match=r"call Album\.turn\(image, page=\.\.\.\)"):
        turn(3)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package with names that changed, one of them now in a module of it."""
    made: Any = types.ModuleType("renamed_things")
    made.new, made.part = 1, types.SimpleNamespace(newer=2)
    made.__path__ = []  # so that `from renamed_things import ...` goes the way of a package
    made.__getattr__ = renamed_names("renamed_things", {"old": "new", "older": "part.newer"})
    monkeypatch.setitem(sys.modules, "renamed_things", made)
    return made


def test_a_module_has_what_it_offers_by_its_old_name(module: types.ModuleType) -> None:
    with warned("renamed_things.old is now renamed_things.new"):
        assert module.old == 1
    with warned("renamed_things.older is now renamed_things.part.newer"):
        assert module.older == 2
    with pytest.raises(AttributeError, match="module 'renamed_things' has no attribute 'odd'"):
        _ = module.odd
    assert "old" not in dir(module)


def test_an_old_name_can_be_imported(module: types.ModuleType) -> None:
    with warned("renamed_things.old is now renamed_things.new"):
        from renamed_things import old  # type: ignore[import-not-found]
    assert old == 1


class Result:
    def __init__(self) -> None:
        self.skipped = ["cat.png"]

    left_out = renamed_attribute("skipped")

    @property
    def error(self) -> str:
        return "none"

    stopped = renamed_attribute("error")

    def to_dataframe(self, rows: int) -> int:
        return rows

    table = renamed_attribute("to_dataframe")

    @classmethod
    def load(cls) -> Result:
        return cls()

    read = renamed_attribute("load")


@dataclass(frozen=True, slots=True)
class Frozen:
    skipped: int
    left_out = renamed_attribute("skipped")


def test_attributes_are_read_called_and_set_by_their_old_names() -> None:
    result = Result()
    with warned("Result.left_out is now Result.skipped"):
        assert result.left_out is result.skipped
    with warned("Result.stopped is now Result.error"):
        assert result.stopped == "none"
    with warned("Result.table is now Result.to_dataframe"):
        assert result.table(3) == 3
    with warned("Result.read is now Result.load"):
        assert isinstance(Result.read(), Result)
    with warned("Result.left_out is now Result.skipped"):
        result.left_out = []
    assert result.skipped == []
    with warned("Frozen.left_out is now Frozen.skipped"):
        assert Frozen(2).left_out == 2
    assert Frozen(2) == Frozen(skipped=2)


class Traits(traitlets.HasTraits):
    direction = traitlets.Any("attends_to")
    way = renamed_attribute("direction")

    @traitlets.validate("direction")
    def _direction(self, proposal: Any) -> Any:
        return renamed_choice("direction", proposal.value, OLD_CHOICES)


def test_a_trait_and_its_choices_have_old_names() -> None:
    traits = Traits()
    with warned("Traits.way is now Traits.direction"):
        traits.way = "attended_by"
    assert traits.direction == "attended_by"
    with warned("direction='looks_at' is now direction='attends_to'"):
        traits.direction = "looks_at"  # through traitlets, and still about this line
    assert traits.direction == "attends_to"


@pytest.mark.parametrize("value", ["attends_to", "nonsense", 3, None, [1]])
def test_any_other_choice_comes_back_as_it_is(value: object) -> None:
    assert renamed_choice("direction", value, OLD_CHOICES) is value


def test_the_warning_is_about_the_users_line_and_comes_once() -> None:
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("default")
        start = line_number()
        for _ in range(3):
            warn_renamed("f", "g")
        warn_renamed("f", "g")
    lines = [(each.filename, each.lineno) for each in record]
    assert lines == [(__file__, start + 2), (__file__, start + 3)]


def test_a_line_of_the_package_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {"__name__": "vit_attention_widget.somewhere", "warn_renamed": warn_renamed}
    exec("def public():\n    warn_renamed('f', 'g')", inside)
    with warned("f is now g"):
        inside["public"]()  # type: ignore[operator]


def test_old_names_go_when_they_were_said_to() -> None:
    def release(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split(".")[:2])

    assert release(vaw.__version__) < release(REMOVED_IN), "remove the old names"
