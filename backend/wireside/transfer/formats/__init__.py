"""Readers of export formats, one per module.

Each reads one parsed conversation of a file. The input may be hostile: every value is checked, and
nothing recurses over it. None of the foreign formats has a published specification; the readers
know the shapes of real exports.
"""
