"""Rows to data frames and back, with whichever of pandas and polars is there.

Neither is imported before it is needed. Frames that are given are not looked at by their type: what
has columns that can be listed and got by name is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from anabranch.analysis.rows import Row
from anabranch.errors import EventSchemaError, MissingPackageError

__all__ = ["Backend", "Frame", "columns_of", "frame_of", "need", "rows_of"]

Backend = Literal["pandas", "polars"]
Frame = Any
"""A pandas or polars data frame, or any mapping of column names to values."""


def need(name: str, what: str) -> ModuleType:
    """An optional package.

    Raises:
        MissingPackageError: It is not installed; the message says how to get it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise MissingPackageError(
            f"{what} needs {error.name}, which is not installed: pip install 'anabranch[analysis]'"
        ) from None


def frame_of(rows: Sequence[Row], backend: Backend | None = None) -> Frame:
    """A data frame of the rows; of pandas if that is there and nothing else is asked for.

    Raises:
        MissingPackageError: The package is not installed, or neither is.
    """
    if backend == "polars":
        # From the first rows alone it would take a column that begins empty for one of nulls.
        return need("polars", "a polars data frame").from_dicts(rows, infer_schema_length=None)
    if backend == "pandas":
        return need("pandas", "a pandas data frame").DataFrame.from_records(rows)
    try:
        return frame_of(rows, "pandas")
    except MissingPackageError:
        try:
            return frame_of(rows, "polars")
        except MissingPackageError:
            raise MissingPackageError(
                "a data frame needs pandas or polars, and neither is installed: pip install "
                "'anabranch[analysis]', or take .rows(), which are plain dicts"
            ) from None


def columns_of(frame: Frame) -> dict[str, list[Any]]:
    """The columns of a data frame as lists of plain values; a missing value is None.

    Raises:
        EventSchemaError: It is no frame, or its columns differ in length.
    """
    names: Iterable[Any] | None = frame if isinstance(frame, Mapping) else _names(frame)
    if names is None:
        raise EventSchemaError(
            f"a {type(frame).__name__} is no data frame: give one of pandas or polars, or a "
            "mapping of column names to values"
        )
    columns = {str(name): [_plain(value) for value in _values(frame[name])] for name in names}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise EventSchemaError(f"the columns differ in length: {lengths}")
    return columns


def rows_of(frame: Frame) -> list[Row]:
    """The rows of a data frame."""
    columns = columns_of(frame)
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _names(frame: Any) -> list[Any] | None:
    names = getattr(frame, "columns", None)
    return None if names is None else list(names)


def _values(column: Any) -> list[Any]:
    to_list = getattr(column, "to_list", None) or getattr(column, "tolist", None)
    return list(column) if to_list is None else list(to_list())


def _plain(value: Any) -> Any:
    """None for what pandas has instead: NaN, NaT and NA, which differ from themselves or refuse."""
    try:
        return value if value == value else None  # noqa: PLR0124 - that is how NaN tells itself
    except (TypeError, ValueError):
        return None if type(value).__name__ == "NAType" else value
