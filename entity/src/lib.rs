//! The tables as SeaORM entities.
