"""Sweeps: many trainings of one config with values drawn by Optuna, on one or several machines."""
