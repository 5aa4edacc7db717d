//! What `rollcall token` and `rollcall client` have in common.

use std::time::Duration;

use clap::Args;

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{Slug, Timestamp};
use crate::service::credentials::{Credential, warn_of_end};
use crate::service::{Core, ServiceError};
use crate::store::accounts::Account;
use crate::store::credentials::{Expiring, Selection};

/// Which are listed.
#[derive(Debug, Args)]
pub struct Which {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// Those too that have ended or were revoked
    #[arg(long)]
    pub all: bool,
    /// How many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

impl Which {
    /// Reads the account, and what is wanted of it: one more than are shown, which tells that there are more.
    pub(super) async fn read(&self, core: &Core) -> Result<(Account, Selection), ServiceError> {
        let account = core.account(&self.account.account).await?;
        let connection = match &self.connection {
            Some(name) => Some(core.connection(&account, name).await?.id),
            None => None,
        };
        let good_at = (!self.all).then(|| core.ambient().now());
        Ok((account, Selection { connection, good_at, limit: Some(self.limit.saturating_add(1)) }))
    }

    /// Prints what was found, and warns of those that end soon. `texts` gives the first characters, the scope and the label.
    pub(super) async fn show<C: Credential>(
        &self,
        core: &Core,
        account: &Account,
        mut found: Vec<C>,
        texts: impl Fn(&C) -> [&str; 3],
    ) -> Outcome {
        let (connections, now) = (core.list_connections(account).await?, core.ambient().now());
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if found.len() > most {
            found.drain(..found.len() - most);
            tracing::warn!("only the newest {most} are listed; see --limit");
        }
        let headings = ["ID", "CONNECTION", "BEGINS", "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED", "LABEL"];
        let mut table = Table::new(headings);
        for it in found {
            let name = connections.iter().find(|c| c.id == it.owner().1).map_or("", |c| c.name.as_str());
            let when = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
            let [hint, scope, label] = texts(&it);
            table.row([
                &it.id(),
                name,
                hint,
                scope,
                it.state(now),
                &it.made().to_string(),
                &when(it.end()),
                &when(it.used()),
                label,
            ]);
            if it.ends_soon(now) {
                warn_of_end(&Expiring { it, connection: name.to_owned(), account: account.name.to_string() });
            }
        }
        Ok(output::line(table)?)
    }
}

pub(super) fn days(days: u32) -> Duration {
    Duration::from_hours(u64::from(days) * 24)
}
