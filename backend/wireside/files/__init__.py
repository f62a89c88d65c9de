"""Files that users attach to questions: kept once by content, of known types, within limits."""
