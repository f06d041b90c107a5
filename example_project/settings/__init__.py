"""The ladder, one file a stage: each imports the one before and adds its own few lines."""
