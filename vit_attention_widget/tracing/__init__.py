"""One forward pass, kept as q, k, v and head outputs of every layer, and its gradients."""
