"""The life of one answer: its log, its readers and its task."""
