"""One answer: its log, its readers, its task."""
