//! The control socket, its client, the read-only listener and the command line, against a rig that only remembers what it was asked.

mod command_line;
mod events;
mod readonly;
mod rig;
mod routes;
mod socket;
