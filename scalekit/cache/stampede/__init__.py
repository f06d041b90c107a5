"""Who may load a value that is missing, and who may store what was loaded.

`base` is the contract of a server that keeps entries: `valkey` with leases, `plain` for all other caches of
Django. `requests` is what a server can be asked, `states` what it keeps under a name. `renewing` keeps the
leases of long loads alive; `early` decides when a value is loaded again before its end, `background` where.
"""
