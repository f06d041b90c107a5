"""What every rung shares and none of them owns.

`conf` reads settings, `context` keeps the facts of the current unit of work, `events` announces what
happened, `backends` turns settings into objects, `middleware` runs one generator under WSGI and ASGI.
"""
