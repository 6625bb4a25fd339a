"""Images, labels, data sets and loaders, read in one way."""
