"""Images by the folder that a long run fills: read chunk by chunk, never all at once."""
