"""What travels: wire models and CloudEvents."""
