"""How cost grows with what there is to do, and what more workers and partitions bring."""
