'''What a result class gets from saying what its axes are called.

A result is a frozen dataclass with this mixin::

    @dataclass(frozen=True, eq=False)  # tensors have no plain ==
    class Attribution(NamedValues):
        """A map for each layer."""

        kind = "attribution"
        axes = ("image", "layer", "row", "col")

        values: Tensor
        method: str
        target: str

That gives ``rows()``, ``to_dataframe()``, ``to_xarray()``, ``to_csv(path)``, ``save(path)``,
``Attribution.load(path)`` and a table in notebooks. A class that differs says so in a method:

- :meth:`NamedValues._variables` where there is more than ``values``, such as a column for each
  metric, or variables over other axes (those stand in ``to_xarray()`` only);
- ``table_axes`` where a table's rows have other axes than ``values``;
- :meth:`NamedValues._coords` where a place on an axis has a name or number of its own;
- :meth:`NamedValues._to_parts` and :meth:`NamedValues._from_parts` where the fields are more than
  tensors, text, numbers, and tuples of these;
- ``_repr_html_`` where a picture says more: ``block(title, heat_map(...), table(...))``.
'''

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .csv_file import Row, write_csv
from .files import reading
from .html import block, table
from .optional import optional
from .storage import JsonObject, read_tensors, write_tensors

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

__all__ = ["NamedValues", "Variable", "as_array"]

_Result = TypeVar("_Result", bound="NamedValues")


class Variable(NamedTuple):
    """A tensor, and what its axes are called."""

    axes: tuple[str, ...]
    values: Tensor


class NamedValues:
    """Mixin for results: named axes, and from them tables, files and a notebook's table."""

    kind: ClassVar[str]
    """What a file of it holds, in words: ``"head importance"``."""

    axes: ClassVar[tuple[str, ...]]
    """The axes of :attr:`values`, and of a table's rows unless :attr:`table_axes` are others."""

    table_axes: ClassVar[tuple[str, ...] | None] = None
    """The axes of a table's rows where they are not those of :attr:`values`."""

    if TYPE_CHECKING:

        @property
        def values(self) -> Tensor:
            """The numbers themselves, over :attr:`axes`."""

    # What a class may say otherwise ---------------------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        """Named tensors; those over all axes of the table are its columns."""
        return {"value": Variable(self.axes, self.values)}

    def _stored(self) -> Mapping[str, Variable]:
        """What a folder shows to other tools of this, as one of many parts."""
        return self._variables()

    def _coords(self) -> Mapping[str, Sequence[object]]:
        """What the places on an axis are called; 0, 1, 2, ... for axes that are not in it."""
        return {}

    def _attributes(self) -> Mapping[str, str | int | float]:
        """What is true of all values; the attributes of :meth:`to_xarray`."""
        about = self._to_parts()[1]
        values = {name: v for name, v in about.items() if isinstance(v, str | int | float)}
        return {  # netCDF has no bool
            name: int(v) if isinstance(v, bool) else v for name, v in values.items()
        }

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        """What a file holds: tensors, and what JSON can say."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        tensors = {name: v for name, v in fields.items() if isinstance(v, Tensor)}
        return tensors, {name: v for name, v in fields.items() if name not in tensors}

    @classmethod
    def _from_parts(cls: type[_Result], tensors: dict[str, Tensor], about: JsonObject) -> _Result:
        """The opposite of :meth:`_to_parts`; a KeyError, TypeError or ValueError means damage."""
        return cls(**tensors, **{name: _tuples(value) for name, value in about.items()})

    # Tables ---------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """One dict for each place on the table's axes; those without any value are left out."""
        columns = self._columns()
        lists = (values.tolist() for values in columns.values())
        return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a column for each axis and each variable; rows as :meth:`rows`.

        Raises
        ------
        ParameterError
            If pandas is not installed.
        """
        return optional("pandas", "to_dataframe()").DataFrame(self._columns())

    def to_xarray(self) -> Dataset:
        """An xarray data set with a variable for each tensor, over its named axes.

        Raises
        ------
        ParameterError
            If xarray is not installed.
        """
        xarray = optional("xarray", "to_xarray()")
        variables = self._variables()
        coords = {
            axis: self._places(axis, size)
            for variable in variables.values()
            for axis, size in zip(variable.axes, variable.values.shape, strict=True)
        }
        data = {name: (v.axes, as_array(v.values)) for name, v in variables.items()}
        dataset: Dataset = xarray.Dataset(data, coords, attrs=dict(self._attributes()))
        return dataset

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_csv(path, self.rows())

    # Files ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that :meth:`load` reads.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_tensors(path, self.kind, *self._to_parts())

    @classmethod
    def load(cls: type[_Result], path: str | Path) -> _Result:
        """Read what :meth:`save` wrote; tensors are on the CPU.

        Raises
        ------
        ParameterError
            If the file does not exist, is damaged, or holds something else.
        """
        tensors, about = read_tensors(path, cls.kind)
        with reading(path):
            result = cls._from_parts(tensors, about)
            result._check_axes()
        return result

    def _check_axes(self) -> None:
        """Raise unless all variables fit their axes, and these what their places are called."""
        axes_of_table = self.table_axes or self.axes
        if all(variable.axes != axes_of_table for variable in self._variables().values()):
            raise ValueError("it holds no values")
        sizes = {axis: len(places) for axis, places in self._coords().items()}
        for name, (axes, values) in self._variables().items():
            fits = values.ndim == len(axes) and not values.is_complex()
            if not fits or any(
                sizes.setdefault(axis, size) != size
                for axis, size in zip(axes, values.shape, strict=True)
            ):
                raise ValueError(f"{name} has the shape {list(values.shape)}, not {list(axes)}")

    # Notebooks ------------------------------------------------------------------------------------

    def _title(self) -> str:
        """The class and its size: ``"Attribution: 1 image, 6 layers, 10 rows, 10 cols"``."""
        sizes = zip(self.axes, self.values.shape, strict=True)
        words = (f"{size} {axis}" + ("" if size == 1 else "s") for axis, size in sizes)
        return f"{type(self).__name__}: {', '.join(words)}"

    def _repr_html_(self) -> str:
        return block(self._title(), table(self._columns()))

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """Axes and variables as columns of one length."""
        axes = self.table_axes or self.axes
        variables = {
            name: as_array(variable.values)
            for name, variable in self._variables().items()
            if variable.axes == axes
        }
        with_value = np.any([values == values for values in variables.values()], axis=0)
        index = with_value.nonzero()
        places = {
            axis: self._places(axis, size)[each]
            for axis, size, each in zip(axes, with_value.shape, index, strict=True)
        }
        return {**places, **{name: values[index] for name, values in variables.items()}}

    def _places(self, axis: str, size: int) -> NDArray[np.generic]:
        """What the places on an axis are called; images by their number in the set."""
        skipped = getattr(self, "skipped", {}) if axis == "image" else {}
        numbers = [n for n in range(size + len(skipped)) if n not in skipped][:size]
        return np.asarray(self._coords().get(axis, numbers))


def as_array(tensor: Tensor) -> NDArray[np.generic]:
    """A tensor as NumPy has it; of a type that it lacks as float32."""
    tensor = tensor.detach().cpu()
    narrow = tensor.dtype in (torch.bfloat16, torch.float16)
    array: NDArray[np.generic] = (tensor.float() if narrow else tensor).numpy()
    return array


def _tuples(value: object) -> object:
    """JSON's lists as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
