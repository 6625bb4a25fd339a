"""What an attack counts: right, refused, and failed, which must be 0."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Count"]


@dataclass
class Count:
    """Attacks that ended in a right result, in the error that was meant, or in anything else."""

    right: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All attacks."""
        return self.right + self.refused + len(self.failed)

    def add(
        self, name: str, meant: type[Exception], attack: Callable[..., object], *args: Any
    ) -> None:
        """Attack once. The attack itself asserts that its result is right."""
        try:
            attack(*args)
        except meant as error:
            message = str(error)
            if not 20 < len(message) < 1000:
                self.failed.append(f"{name}: a message of {len(message)} letters: {message[:99]!r}")
            else:
                self.refused += 1
        except Exception:
            self.failed.append(f"{name}: {traceback.format_exc(limit=-4)}")
        else:
            self.right += 1

    def report(self) -> dict[str, Any]:
        """For printing."""
        return {"tried": self.tried, **asdict(self)}
