"""How far heads attend: by distance, by entropy."""
