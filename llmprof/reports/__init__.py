"""How it is told: pure functions of a diagnosis."""
