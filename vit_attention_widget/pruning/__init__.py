"""Models without some of their heads: curves, parts of a head, and smaller models."""
