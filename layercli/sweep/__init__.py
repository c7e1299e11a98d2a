"""A sweep: many trainings of one config with values drawn by Optuna, by one process or by many machines."""
