"""Rank correlation and bootstrap intervals."""
