"""Builds the application's parts from the settings, one module a subject."""
