"""Several servers, called replicas, on one PostgreSQL database."""
