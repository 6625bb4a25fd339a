"""Maps side by side, and how far they agree."""
