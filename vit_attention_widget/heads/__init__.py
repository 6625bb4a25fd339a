"""Attention heads: how much each matters, and the model without some of them."""
