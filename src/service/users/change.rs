//! One change of a user, and all that follows from it, in one transaction.

use serde_json::{Map, Value};

use crate::base::{EventId, Timestamp};
use crate::domain::{Reason, UserStatus};
use crate::store::holds::HeldState;
use crate::store::receipts::Leaving;
use crate::store::users::{User, UserState};
use crate::store::workers::{self, Wanted};
use crate::store::{Change, Tx};

use super::super::cache::Caller;
use super::super::core::Parts;
use super::super::entitle::{Entitled, Entitling, SaidBefore};
use super::super::error::ServiceError;
use super::super::guard::{Cause, Guard, How, Losing, had_worker, loses};
use super::{by, changed_attributes, fold_name, is_active};

/// One change of a user's document, inside its transaction.
pub(in crate::service) struct UserChange<'a> {
    pub(in crate::service) tx: &'a Tx,
    pub(in crate::service) core: &'a Parts,
    pub(in crate::service) caller: &'a Caller,
    pub(in crate::service) action: &'static str,
    /// What a sign-in says, if it is one and not SCIM that writes.
    pub(in crate::service) signed_in: Option<&'a str>,
    pub(in crate::service) at: Timestamp,
}

impl UserChange<'_> {
    pub(in crate::service) async fn write(
        &self,
        mut user: User,
        before: &Map<String, Value>,
        after: Map<String, Value>,
    ) -> Result<(User, bool), ServiceError> {
        let status = UserStatus::provisioned(is_active(&after));
        let ends = user.status.may_have_access() && !status.may_have_access();
        let had_access = user.role.is_some() || ends;
        if let Some(claims) = self.signed_in {
            user.claims = Some(claims.to_owned());
            user.has_signed_in = true;
        } else {
            user.by_sign_in = false;
        }
        let said = SaidBefore::of(self.tx, &user).await?;
        let person = Entitling {
            account: user.account,
            connection: user.connection,
            status,
            user: user.id,
            attributes: &after,
            groups: &user.groups,
            said: &said,
            expected: user.has_signed_in || had_worker(&user),
        };
        let mut entitled = self.core.entitle(self.tx, &person).await?;
        let event: EventId = self.core.ambient.id();
        let mut losses = self.tx.change();
        let kept = self.keeps(&user, status, &entitled, event, &mut losses).await?;
        if kept && status.may_have_access() {
            // Held whole: the person stays as before, whatever the rules would give now.
            (entitled.role, entitled.access) = (user.role, user.access.clone());
        }
        let renamed = match user.hold {
            None => fold_name(before) != fold_name(&after),
            // While it was held, the worker kept its old name.
            Some(_) => workers::bears_another_name(self.tx, user.account, user.id, &fold_name(&after)).await?,
        };
        if renamed {
            // Another's worker may have that name.
            self.tx.run_alone()?;
        }
        let mut change = self.tx.change();
        change.update_user(
            before,
            &UserState {
                id: user.id,
                account: user.account,
                connection: user.connection,
                status,
                attributes: &after,
                role: entitled.role,
                access: entitled.access.as_deref(),
                signed_in: self.signed_in,
                version: user.version + 1,
                at: self.at,
            },
        )?;
        let (old, new) = changed_attributes(before, &after);
        change.audit(&by(self.caller, event, self.at, self.action, user.id, Some(old), Some(new)))?;
        change.append(losses);
        let moves = !kept && renamed && entitled.desired.is_some();
        if !moves && !kept {
            match &entitled.desired {
                Some(desired) => change.want_worker(&Wanted {
                    id: self.core.ambient.id(),
                    account: self.caller.account,
                    connection: user.connection,
                    user: user.id,
                    desired,
                    event,
                })?,
                None => change.leave(&Leaving {
                    account: self.caller.account,
                    user: user.id,
                    reason: Reason::of(status),
                    event,
                    accepted: None,
                    had_access: had_access && entitled.role.is_none(),
                }),
            }
        }
        if let (false, Some(desired)) = (user.status.may_have_access(), &entitled.desired) {
            change.let_go_of_kept(self.caller.account, user.id, &desired.friendly_name, event);
        }
        // Only the userName can be taken, and it stands in the first part.
        self.tx.apply_unless_taken(change).await?;
        if let (true, Some(desired)) = (moves, &entitled.desired) {
            let id = self.core.ambient.id();
            let connection = user.connection;
            let wanted = Wanted { id, account: self.caller.account, connection, user: user.id, desired, event };
            workers::rename(self.tx, &wanted).await?;
        }
        user.status = status;
        user.role = entitled.role;
        user.access = entitled.access;
        user.document = Value::Object(after).to_string();
        user.version += 1;
        user.updated_at = self.at;
        Ok((user, true))
    }

    /// Whether a loss of the person is held: then the worker stays as it is, and of somebody who still is active everything.
    async fn keeps(
        &self,
        user: &User,
        status: UserStatus,
        entitled: &Entitled,
        event: EventId,
        losses: &mut Change,
    ) -> Result<bool, ServiceError> {
        let loss = loses(user, had_worker(user), entitled);
        if loss.is_none() && user.hold.is_none() {
            return Ok(false);
        }
        let cause = self.cause(user, event);
        let (parts, account) = (self.core, user.account);
        let guard = Guard { tx: self.tx, parts, account, cause: &cause, at: self.at, in_background: false };
        if user.hold.is_none() && !guard.watches(user).await? {
            return Ok(false);
        }
        // Losses are counted, and those beside this one may not be written yet.
        self.tx.run_alone()?;
        let Some(loss) = loss else {
            guard.release(&[user], HeldState::Returned).await?;
            return Ok(false);
        };
        let how = match (status.may_have_access(), user.status.may_have_access()) {
            (true, _) => How::Implied,
            (false, true) => How::Ends,
            (false, false) => How::Ended,
        };
        Ok(!guard.judge(&[Losing { user, loss, how }], losses).await?.is_empty())
    }

    /// Whether the worker of somebody who is deleted is held.
    pub(super) async fn keeps_worker(
        &self,
        user: &User,
        event: EventId,
        losses: &mut Change,
    ) -> Result<bool, ServiceError> {
        let nothing = Entitled { role: None, access: None, desired: None, outcome: None };
        let Some(loss) = loses(user, had_worker(user), &nothing) else { return Ok(false) };
        let cause = self.cause(user, event);
        let (parts, account) = (self.core, user.account);
        let guard = Guard { tx: self.tx, parts, account, cause: &cause, at: self.at, in_background: false };
        Ok(!guard.judge(&[Losing { user, loss, how: How::Ends }], losses).await?.is_empty())
    }

    fn cause(&self, user: &User, event: EventId) -> Cause {
        let name = user.attributes().ok().and_then(|it| Some(it.get("userName")?.as_str()?.to_owned()));
        Cause {
            event,
            actor: self.caller.actor(),
            request: self.caller.request.to_string(),
            action: self.action.to_owned(),
            target_kind: "user".to_owned(),
            target_id: user.id.to_string(),
            target: name.unwrap_or_default(),
            by_idp: true,
        }
    }
}
