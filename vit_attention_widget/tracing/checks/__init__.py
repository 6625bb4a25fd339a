"""What a description says of a model, held against the pass that was just run."""
