"""Experiments over a parameter or over a closed simulation's generations, for studies with ``backend: experiment``."""
