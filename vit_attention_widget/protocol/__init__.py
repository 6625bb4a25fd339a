"""What kernel and browser say to each other."""
