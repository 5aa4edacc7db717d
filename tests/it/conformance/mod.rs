//! Ports with several implementations: each passes its one suite.
//!
//! The suite of `TaskRouter` over the client and the stand-in is a unit test of the client, which needs no database.

mod desired_store;
