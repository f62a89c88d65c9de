"""The model picker."""

from wireside_ui.components.model_picker.model_picker import ModelPicker

__all__ = ["ModelPicker"]
