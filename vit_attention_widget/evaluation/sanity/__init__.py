"""Do maps depend on what the model has learned? Randomize its weights and compare the maps."""
