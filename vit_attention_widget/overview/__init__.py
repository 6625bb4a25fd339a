"""Images laid out by which heads matter for them."""
