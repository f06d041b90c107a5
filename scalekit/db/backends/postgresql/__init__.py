"""ENGINE = "scalekit.db.backends.postgresql": Django's backend; a replica that fails costs no read."""
