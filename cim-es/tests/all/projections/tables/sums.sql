-- {accounts} is named by its movements.
CREATE TABLE {accounts} (
    id TEXT PRIMARY KEY,
    sum INTEGER NOT NULL,
    events INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE {movements} (
    position INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES {accounts} (id),
    change INTEGER NOT NULL CHECK (change <> 0)
) STRICT;
CREATE INDEX {movements_of} ON {movements} (account);
