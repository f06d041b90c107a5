"""ENGINE values: Django's own backends, and what a replica needs besides."""
