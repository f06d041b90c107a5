CREATE TABLE chaos_order (job int PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE chaos_run (job int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE chaos_effect (job int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX chaos_run_job ON chaos_run (job);
CREATE INDEX chaos_effect_job ON chaos_effect (job);
