"""The wire protocol: frames and rules, without I/O, clock or framework. Source: ``protocol.md``."""
