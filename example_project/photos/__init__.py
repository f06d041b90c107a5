"""People, the photos they share, and what others say about them."""
