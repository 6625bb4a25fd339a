"""Measurements of the package, as ratios taken side by side in one run."""
