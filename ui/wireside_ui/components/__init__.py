"""One component a file, its .js beside it."""
