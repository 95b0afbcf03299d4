-- The units of all organizations and their roles, as they are. SQLite and PostgreSQL both read this.
CREATE TABLE {units} (
    organization text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (organization, code)
);
CREATE TABLE {roles} (
    organization text NOT NULL,
    code text NOT NULL,
    title text NOT NULL,
    unit text,
    reports_to text,
    state text NOT NULL CHECK (state IN ('held', 'vacant', 'frozen')),
    PRIMARY KEY (organization, code)
);
CREATE INDEX {roles_of_unit} ON {roles} (organization, unit);
