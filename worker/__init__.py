"""Everything that runs: use cases, their doors, and the ground they stand on."""
