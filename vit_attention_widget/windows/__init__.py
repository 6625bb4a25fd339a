"""Attention inside the shifted windows of Swin, laid out in the image."""
