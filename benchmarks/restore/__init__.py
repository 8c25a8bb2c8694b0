"""How long a partition takes to be back."""
