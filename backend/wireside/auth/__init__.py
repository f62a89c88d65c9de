"""Authentication and authorisation: accounts, sessions, API keys, tickets, rate limits."""
