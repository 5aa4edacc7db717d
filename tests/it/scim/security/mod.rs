//! The security checklist for SCIM; docs/SECURITY.md lists the lines S27 to S45 and S61.

mod addresses;
mod audit;
mod authentication;
mod clients;
mod costs;
mod limits;
mod members;
mod pace;
mod rights;
mod scopes;
mod tenancy;
