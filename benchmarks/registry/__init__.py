"""A registry of a thousand specs: validated, and compiled."""
