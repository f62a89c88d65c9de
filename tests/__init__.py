"""Tests of Wireside. They import each other by their full names, as `tests.server_process`."""
