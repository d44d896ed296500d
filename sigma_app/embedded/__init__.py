"""What stands in for a hosted service when nothing is configured."""
