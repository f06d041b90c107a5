"""A clock that the tests move, for everything that asks PostgreSQL what time it is through Django's `Now`."""

from __future__ import annotations

SET_UP = """
CREATE SCHEMA clock;
CREATE TABLE clock.hand (moment timestamptz NOT NULL);
INSERT INTO clock.hand VALUES ('{moment}');
CREATE FUNCTION clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
  AS 'SELECT moment FROM clock.hand';
ALTER TABLE scalekit_queue_cronentry
  ALTER since SET DEFAULT clock.statement_timestamp(),
  ALTER seen_at SET DEFAULT clock.statement_timestamp();
"""


class Clock:
    """Stands still, and shows what it was last set to; `options` make a connection ask it."""

    # pg_catalog comes first of itself, unless it is named further back.
    options = {"options": "-c search_path=clock,pg_catalog,public"}

    def __init__(self, server, database, moment):
        self.execute = lambda sql: server.execute(sql, database=database)
        self.execute(SET_UP.format(moment=moment))

    def set(self, moment):
        self.execute(f"UPDATE clock.hand SET moment = '{moment}'")
