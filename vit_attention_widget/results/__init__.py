"""What results of every kind share: tables, files, axes to draw on, pictures for notebooks.

A result is a dataclass whose tensors have named axes. :class:`.named_values.NamedValues` gives it
``to_dataframe``, ``to_xarray``, ``to_csv``, ``save``, ``load`` and a notebook's table; ``plot`` it
writes itself, with :func:`.drawing.axes_or_new`. Files of other kinds go through :mod:`.storage`,
pictures for ``_repr_html_`` come from :mod:`.heat_map`.
"""
