"""The wire: frames and rules, without I/O, clock or framework. ``protocol.md`` is its source."""
