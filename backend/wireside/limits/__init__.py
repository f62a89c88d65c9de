"""Rate limits as pure values; time is passed in."""
