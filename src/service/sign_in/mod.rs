//! Sign-in through an identity provider: begun, answered, and turned into a session.

mod admit;
mod flow;
mod logout;
mod oidc;
mod parts;
mod ports;
mod realm;
mod refresh;
mod saml;
mod setup;

pub use admit::{Admission, Names, NoAccess};
pub use flow::{Begun, Browser, Ended, Purpose};
pub use logout::{LoggedOut, LogoutMessage, Onward};
pub use parts::{OidcPart, Part, SamlPart};
pub use ports::SignOnPorts;
pub use realm::Domain;
pub use refresh::KeyStep;
pub use saml::Beginning;
pub(super) use saml::blocking;
pub(super) use setup::invalid;
pub use setup::{MetadataFrom, OidcSetup, SamlSetup, SsoFacts, SsoSetup};
