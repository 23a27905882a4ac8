"""JSON as Discord sends it."""

from typing import Any, TypeAlias

Payload: TypeAlias = dict[str, Any]
