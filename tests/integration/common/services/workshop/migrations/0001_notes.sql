-- Something to write to, for tests of the layer.

CREATE TABLE notes (
    note_id INT          NOT NULL PRIMARY KEY,
    text    VARCHAR(255) NOT NULL DEFAULT ''
);
