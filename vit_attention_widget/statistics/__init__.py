"""Statistics of results: ranks and rank correlation, confidence intervals."""
