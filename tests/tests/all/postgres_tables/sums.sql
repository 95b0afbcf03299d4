-- {tills} is named by its movements.
CREATE TABLE {tills} (
    id uuid PRIMARY KEY,
    sum int8 NOT NULL,
    moves int8 NOT NULL
);
CREATE TABLE {movements} (
    position int8 PRIMARY KEY,
    till uuid NOT NULL REFERENCES {tills},
    amount int8 NOT NULL CHECK (amount <> 0),
    at timestamptz NOT NULL
);
CREATE INDEX {movements_of} ON {movements} (till);
