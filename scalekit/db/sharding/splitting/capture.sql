-- What writers change while rows are copied. The row itself is read when the change is carried over.
CREATE TABLE IF NOT EXISTS {changes} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    row_id text NOT NULL
);
