"""See every attention call of a forward pass, and patch nothing."""
