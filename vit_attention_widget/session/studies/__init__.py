"""What a session finds out, one file a kind of study."""
