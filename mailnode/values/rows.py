"""Rows as the store gives them."""

from __future__ import annotations

from typing import Any, TypeAlias

# One row. What its values are stands in the SELECT, or in the columns that were asked for: no type can say it. These two
# names are where the store's values lose their types; whoever unpacks a row says again what it expects.
StoredRow: TypeAlias = tuple[Any, ...]
# A row by the names of its columns.
NamedValues: TypeAlias = dict[str, Any]
