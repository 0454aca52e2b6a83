"""What a search spends beside training: driver, decisions, slots, start."""
