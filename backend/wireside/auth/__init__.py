"""Who may come in: accounts, sign-in, keys, tickets, limits."""
