"""Attacks by chance, from a seed: each ends in a right result or in one error of errors.py."""
