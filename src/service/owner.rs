//! The local owner: the way in before there is an identity provider, and when there is none any longer.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::base::{SecretToken, Timestamp, UserId, fold, token_hash};
use crate::domain::{Means, Role, UserStatus};
use crate::store::accounts::{self, Account};
use crate::store::audit::AuditEvent;
use crate::store::links::{self, Link, LinkKind};
use crate::store::local::{self, LocalUser};
use crate::store::users::UserState;
use crate::store::{StoreError, Tx};

use super::core::Core;
use super::error::ServiceError;
use super::local::counted_name;
use super::passwords::{Busy, Password, Weak};
use super::sessions::{NewSession, Opened};
use super::sign_ins::{Attempt, Origin, Outcome};

/// What the secrets of links begin with.
pub const PREFIX: &str = "rcl_";
/// How long an owner's link is good.
pub const LIFETIME: Duration = Duration::from_hours(24);
/// Longer than any secret that we make.
const LONGEST: usize = 200;
/// The longest name, in characters.
const LONGEST_NAME: usize = 256;
/// Links that are deleted in one transaction.
const SWEPT: u32 = 500;

/// What came of an owner's link.
#[derive(Debug)]
pub enum Became {
    /// The person is the owner, and signed in.
    Owner(Opened),
    /// The link does not work, or does not any longer.
    Gone,
    /// The name cannot be one.
    BadName,
    /// Another user of the account has the name.
    NameTaken,
    /// The password is not good enough.
    Weak(Weak),
    /// Too many passwords are being hashed.
    Busy,
}

impl Core {
    /// Makes a link by which whoever has it becomes the local owner of an account, or sets the owner's password anew. Links made
    /// before open nothing any longer. The URL is shown once, here.
    pub async fn create_owner_link(&self, account: &Account) -> Result<String, ServiceError> {
        let (secret, now) = (SecretToken::generate(&self.ambient, PREFIX), self.ambient.now());
        let link = Link {
            id: self.ambient.id(),
            account: account.id,
            kind: LinkKind::Owner,
            user: None,
            created_at: now,
            expires_at: now.after(LIFETIME),
        };
        let event = self.owner_event(&link, "owner.link", "command", "", json!({"expires": link.expires_at}));
        let hash = secret.hash();
        let url = format!("{}/owner/{}", self.public_url(), secret.expose());
        // Two transactions of one: PostgreSQL would not see that the second statement is not to touch what the first one does.
        self.store
            .keep(move |tx| {
                let (link, hash, event) = (link.clone(), hash.clone(), event.clone());
                Box::pin(async move {
                    let mut void = tx.change();
                    void.void_links(link.account, LinkKind::Owner, None, now);
                    tx.apply(void).await?;
                    let mut change = tx.change();
                    change.insert_link(&link, &hash);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok(url)
    }

    /// A link like that, if the account has neither a local owner nor an open link: for the first start.
    pub async fn first_owner_link(&self, account: &Account) -> Result<Option<String>, ServiceError> {
        let open = links::is_open(self.store.read(), account.id, LinkKind::Owner, self.ambient.now()).await?;
        if open || self.has_local_owner(account.id).await? {
            return Ok(None);
        }
        self.create_owner_link(account).await.map(Some)
    }

    /// The account whose owner a link makes, if the link works.
    pub async fn owner_link(&self, secret: &str) -> Result<Option<Account>, ServiceError> {
        let Some(link) = self.open_link(secret).await? else { return Ok(None) };
        Ok(accounts::by_id(self.store.read(), link.account).await?)
    }

    async fn open_link(&self, secret: &str) -> Result<Option<Link>, ServiceError> {
        if !secret.starts_with(PREFIX) || secret.len() > LONGEST {
            return Ok(None);
        }
        let found = links::open_by_hash(self.store.read(), &token_hash(secret), self.ambient.now()).await?;
        Ok(found.filter(|link| link.kind == LinkKind::Owner))
    }

    /// Uses an owner's link: makes the local owner of that name, or gives the local owner who has it another password and ends
    /// its sessions. Signs the person in.
    pub async fn become_owner(
        &self,
        secret: &str,
        name: &str,
        password: &str,
        before: Option<&str>,
        origin: &Origin,
    ) -> Result<Became, ServiceError> {
        let Some(link) = self.open_link(secret).await? else { return Ok(Became::Gone) };
        let is_name = name.trim() == name
            && (1..=LONGEST_NAME).contains(&name.chars().count())
            && !name.chars().any(char::is_control);
        if !is_name {
            return Ok(Became::BadName);
        }
        let password = Password::typed(password);
        if let Err(weak) = password.check(name) {
            return Ok(Became::Weak(weak));
        }
        let hash = match self.hasher.hash(&self.ambient, password).await? {
            Ok(hash) => hash,
            Err(Busy) => return Ok(Became::Busy),
        };
        let user = match self.write_owner(&link, name, hash, &origin.reference).await? {
            Ok(user) => user,
            Err(became) => return Ok(became),
        };
        self.forget_attempts(counted_name(name)).await?;
        let attempt = Attempt {
            account: Some(link.account),
            user: Some(user),
            who: Some(name.to_owned()),
            ..Attempt::new("link", Outcome::SignedIn)
        };
        let wanted = NewSession {
            account: link.account,
            user,
            connection: None,
            means: Means::Password,
            idp: crate::store::sessions::IdpSession::default(),
            ends_at: None,
            replaces: None,
            authenticated_at: None,
        };
        Ok(Became::Owner(self.open_session(wanted, before, origin, attempt).await?))
    }

    async fn write_owner(
        &self,
        link: &Link,
        name: &str,
        hash: String,
        request: &str,
    ) -> Result<Result<UserId, Became>, ServiceError> {
        let (new, now): (UserId, _) = (self.ambient.id(), self.ambient.now());
        let event = self.owner_event(link, "owner.set", "link", request, json!({"userName": name}));
        let (link, name) = (link.clone(), name.to_owned());
        let written: Result<Option<UserId>, ServiceError> = self
            .store
            .write(move |tx| {
                let (link, name, hash, event) = (link.clone(), name.clone(), hash.clone(), event.clone());
                Box::pin(async move {
                    // What may be taken comes first: then nothing has been written.
                    let user = owner_of_name(tx, &link, &name, new, now).await?;
                    if !links::use_up(tx, link.id, now).await? {
                        return Err(ServiceError::Invalid("the link was used meanwhile".to_owned()));
                    }
                    let mut change = tx.change();
                    change.set_password(link.account, user, &hash, now);
                    change.end_sessions_of_user(link.account, user, now);
                    change.audit(&AuditEvent { target_id: user.to_string(), ..event })?;
                    tx.apply(change).await?;
                    Ok(Some(user))
                })
            })
            .await;
        match written {
            Ok(user) => Ok(user.ok_or(Became::Gone)),
            Err(ServiceError::Invalid(_)) => Ok(Err(Became::Gone)),
            Err(ServiceError::Scim(error)) if error.status == 409 => Ok(Err(Became::NameTaken)),
            Err(ServiceError::Taken(_)) => Ok(Err(Became::NameTaken)),
            Err(error) => Err(error),
        }
    }

    /// Deletes links that ended long ago; says how many.
    pub async fn sweep_links(&self) -> Result<u64, ServiceError> {
        let before = self.ambient.now().before(LIFETIME);
        let swept: Result<u64, StoreError> = self.store.keep(move |tx| Box::pin(links::sweep(tx, before, SWEPT))).await;
        Ok(swept?)
    }

    fn owner_event(&self, link: &Link, action: &'static str, actor: &str, request: &str, after: Value) -> AuditEvent {
        AuditEvent {
            id: self.ambient.id(),
            at: self.ambient.now(),
            account: link.account,
            connection: None,
            actor: actor.to_owned(),
            request: request.to_owned(),
            action,
            target_kind: "user",
            target_id: link.id.to_string(),
            before: None,
            after: Some(after),
        }
    }
}

/// The local owner of that name, made if there is none. A local account of the name that is something else is taken.
async fn owner_of_name(tx: &Tx, link: &Link, name: &str, new: UserId, now: Timestamp) -> Result<UserId, ServiceError> {
    let known = local::by_name(tx, &fold(name)).await?.into_iter().find(|it| it.account == link.account);
    match known {
        Some(LocalUser { user, role: Some(Role::Owner), status: UserStatus::Active, .. }) => return Ok(user),
        Some(_) => return Err(ServiceError::Taken("the name".to_owned())),
        None => {}
    }
    let mut attributes = Map::new();
    attributes.insert("userName".to_owned(), Value::String(name.to_owned()));
    attributes.insert("active".to_owned(), Value::Bool(true));
    let access = json!({"role": Role::Owner.as_str(), "because": [{"local": "owner link"}]}).to_string();
    let mut change = tx.change();
    change.insert_user(&UserState {
        id: new,
        account: link.account,
        connection: None,
        status: UserStatus::Active,
        attributes: &attributes,
        role: Some(Role::Owner),
        access: Some(&access),
        signed_in: None,
        version: 1,
        at: now,
    })?;
    tx.apply_unless_taken(change).await?;
    Ok(new)
}
