"""What every part of the package may use, and what knows no part of it."""
