"""Long runs: images batch by batch, and what was computed is kept."""
