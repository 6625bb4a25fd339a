"""Slow, literal twins of the package's methods, written from the definitions and from nothing else.

They form every attention matrix, keep it, and ask autograd for its gradient. Nothing in here
imports the package.
"""
