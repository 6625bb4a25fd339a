"""What results of every kind share: axes to draw on, tables to write."""
