"""``python -m vit_attention_widget`` is ``vaw``."""

from __future__ import annotations

import sys

from .app.command import main

sys.exit(main())
