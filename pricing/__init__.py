"""What things cost: pure rules, no clock, no ids, no I/O."""
