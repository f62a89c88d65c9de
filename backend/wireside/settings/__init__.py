"""Settings: the model and how it is loaded."""
