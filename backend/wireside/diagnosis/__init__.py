"""What is wrong on the way to a server, judged from measurements alone: no I/O, no clock."""
