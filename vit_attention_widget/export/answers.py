"""Answers to a browser's requests that were made before anyone asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict

__all__ = ["Recorded", "key_of"]


class Recorded(TypedDict, total=False):
    """What a request is answered with: bytes, or traits."""

    buffer: bytes
    values: Mapping[str, object]


def key_of(method: str, params: Mapping[str, object]) -> str:
    """What a request is known by, as in ``js/src/page/baked.ts``."""
    arguments = (
        f"{name}={json.dumps(params[name], separators=(',', ':'))}" for name in sorted(params)
    )
    return " ".join([method, *arguments])
