//! The tests of the programs, in one program: it is linked once.

mod accepted;
mod bank_account;
mod cargo_run;
mod compute;
mod engines;
mod infrastructure;
mod infrastructure_stores;
mod infrastructure_survey;
mod infrastructure_topology;
mod organization;
mod organization_import;
mod organization_plan;
mod organization_program;
mod organization_rules;
mod organization_stores;
mod organization_support;
mod organization_values;
mod person;
mod person_import;
mod person_stores;
mod person_versions;
mod quickstart;
mod quickstart_nats;
mod readme;
mod support;
mod values;
