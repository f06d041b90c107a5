"""A photo-sharing site whose code never changes while its settings climb the ladder."""
