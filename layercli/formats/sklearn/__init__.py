"""Data sets that scikit-learn contains."""
