"""What each layer, and each patch in it, would decide through the model's own norm and head."""
