"""What Wireside costs, as ratios to a bare relay of the same bytes. Run by ``make bench``."""
