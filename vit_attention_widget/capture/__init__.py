"""Observe every attention call of a forward pass without changing the model."""
