"""Diagnosis of the network path to a server from measurements alone: no I/O, no clock."""
