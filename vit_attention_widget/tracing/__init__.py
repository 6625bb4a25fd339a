"""One forward pass, recorded as q, k, v and head outputs of every layer, and its gradients."""
