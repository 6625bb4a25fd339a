"""What changes without each head."""
