//! Accounts, connections, people, groups, rules, workers and the audit trail.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::sql::run(manager, DOWN).await
    }

    // SQLite migrations run outside a transaction unless asked: a half-applied schema must not exist.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Accounts and connections are never deleted, so people and workers refer to them without a foreign key: on PostgreSQL each
/// writer would lock their rows, and all writers would meet there.
///
/// Times are milliseconds since the Unix epoch. Ids are UUIDs of version 7 as text, so that their order is that of creation.
const UP: &str = r#"
CREATE TABLE installation (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch bigint NOT NULL
)
--
INSERT INTO installation (id, epoch) VALUES (1, 1)
--
[postgres] CREATE FUNCTION locked_epoch(number bigint, shared boolean) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF shared THEN
        PERFORM pg_advisory_xact_lock_shared(number);
    ELSE
        PERFORM pg_advisory_xact_lock(number);
    END IF;
    -- A statement of its own, later than the lock: it sees what was committed while the lock was waited for.
    RETURN (SELECT epoch FROM installation WHERE id = 1);
END
$$
--
CREATE TABLE account (
    id $text NOT NULL PRIMARY KEY,
    name $text NOT NULL UNIQUE,
    taskrouter $text,
    sealed_secret $text,
    live_calls $text NOT NULL,
    drain_ms bigint NOT NULL,
    deactivated $text NOT NULL,
    worker_at $text NOT NULL DEFAULT 'provisioning',
    session_idle_ms bigint NOT NULL,
    session_absolute_ms bigint NOT NULL,
    rules_version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
)
--
CREATE TABLE connection (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    name $text NOT NULL UNIQUE,
    dialect $text NOT NULL,
    may_grant $text NOT NULL,
    allow_from $text NOT NULL,
    guard $text NOT NULL,
    jit $text,
    claims $text NOT NULL DEFAULT '{}',
    state $text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
)
--
CREATE INDEX connection_account ON connection (account_id, name)
--
CREATE TABLE scim_token (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    connection_id $text NOT NULL REFERENCES connection (id),
    label $text NOT NULL,
    hint $text NOT NULL,
    hash $text NOT NULL UNIQUE,
    scope $text NOT NULL,
    user_id $text,
    replaced_by $text,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
)
--
CREATE INDEX scim_token_connection ON scim_token (connection_id, id)
--
CREATE INDEX scim_token_account ON scim_token (account_id, id)
--
CREATE INDEX scim_token_expiry ON scim_token (expires_at) WHERE expires_at IS NOT NULL AND revoked_at IS NULL
--
CREATE TABLE oauth_client (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    connection_id $text NOT NULL REFERENCES connection (id),
    label $text NOT NULL,
    hint $text NOT NULL,
    secret_hash $text NOT NULL,
    scope $text NOT NULL,
    replaced_by $text,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
)
--
CREATE INDEX oauth_client_account ON oauth_client (account_id, id)
--
CREATE INDEX oauth_client_expiry ON oauth_client (expires_at) WHERE expires_at IS NOT NULL AND revoked_at IS NULL
--
CREATE TABLE access_token (
    hash $text NOT NULL PRIMARY KEY,
    client_id $text NOT NULL REFERENCES oauth_client (id),
    scope $text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
) $clustered
--
CREATE INDEX access_token_expiry ON access_token (expires_at)
--
CREATE TABLE sso (
    connection_id $text NOT NULL REFERENCES connection (id),
    kind $text NOT NULL,
    account_id $text NOT NULL,
    settings $text NOT NULL,
    refresh_at bigint,
    refresh_error $text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (connection_id, kind)
)
--
CREATE INDEX sso_refresh ON sso (refresh_at) WHERE refresh_at IS NOT NULL
--
CREATE TABLE broker (
    account_id $text NOT NULL PRIMARY KEY REFERENCES account (id),
    settings $text NOT NULL,
    updated_at bigint NOT NULL
)
--
CREATE TABLE sso_domain (
    connection_id $text NOT NULL REFERENCES connection (id),
    domain $text NOT NULL,
    account_id $text NOT NULL,
    challenge $text NOT NULL,
    verified_by $text,
    verified_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (connection_id, domain)
)
--
CREATE UNIQUE INDEX sso_domain_verified ON sso_domain (domain) WHERE verified_at IS NOT NULL
--
CREATE TABLE sso_link (
    connection_id $text NOT NULL REFERENCES connection (id),
    issuer $text NOT NULL,
    subject $text NOT NULL,
    user_id $text NOT NULL,
    linked_at bigint NOT NULL,
    PRIMARY KEY (connection_id, issuer, subject)
) $clustered
--
CREATE UNIQUE INDEX sso_link_user ON sso_link (user_id, connection_id, issuer)
--
CREATE TABLE sign_in_flow (
    id $text NOT NULL PRIMARY KEY,
    connection_id $text NOT NULL,
    browser $text NOT NULL,
    sealed $text NOT NULL,
    expires_at bigint NOT NULL
) $clustered
--
CREATE INDEX sign_in_flow_expiry ON sign_in_flow (expires_at)
--
CREATE INDEX sign_in_flow_browser ON sign_in_flow (browser, connection_id)
--
CREATE TABLE used_assertion (
    connection_id $text NOT NULL,
    assertion_id $text NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (connection_id, assertion_id)
) $clustered
--
CREATE INDEX used_assertion_expiry ON used_assertion (expires_at)
--
CREATE TABLE session (
    id $text NOT NULL PRIMARY KEY,
    hash $text NOT NULL UNIQUE,
    account_id $text NOT NULL,
    user_id $text NOT NULL,
    connection_id $text,
    means $text NOT NULL,
    idp_subject $text,
    idp_session $text,
    logout $text,
    created_at bigint NOT NULL,
    authenticated_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    access_losses bigint NOT NULL,
    address $text NOT NULL,
    user_agent $text NOT NULL,
    ended_at bigint
) $hot
--
CREATE INDEX session_person ON session (account_id, user_id, id) WHERE ended_at IS NULL
--
CREATE INDEX session_idp_session ON session (connection_id, idp_session) WHERE ended_at IS NULL AND idp_session IS NOT NULL
--
CREATE INDEX session_idp_subject ON session (connection_id, idp_subject) WHERE ended_at IS NULL AND idp_subject IS NOT NULL
--
CREATE INDEX session_ends ON session (ends_at)
--
CREATE TABLE credential (
    user_id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL,
    password_hash $text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
)
--
CREATE TABLE one_time_link (
    id $text NOT NULL PRIMARY KEY,
    hash $text NOT NULL UNIQUE,
    account_id $text NOT NULL,
    kind $text NOT NULL,
    user_id $text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    voided_at bigint
)
--
CREATE INDEX one_time_link_open ON one_time_link (account_id, kind, user_id) WHERE used_at IS NULL AND voided_at IS NULL
--
CREATE INDEX one_time_link_expiry ON one_time_link (expires_at)
--
CREATE TABLE api_key (
    id $text NOT NULL PRIMARY KEY,
    hash $text NOT NULL UNIQUE,
    account_id $text NOT NULL,
    user_id $text,
    name $text NOT NULL,
    hint $text NOT NULL,
    role $text NOT NULL,
    access_losses bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
)
--
CREATE INDEX api_key_account ON api_key (account_id, id)
--
CREATE TABLE login_throttle (
    subject $text NOT NULL PRIMARY KEY,
    attempts bigint NOT NULL,
    window_ends_at bigint NOT NULL
) $hot
--
CREATE INDEX login_throttle_window ON login_throttle (window_ends_at)
--
CREATE TABLE sign_in (
    seq $serial,
    at bigint NOT NULL,
    account_id $text,
    connection_id $text,
    user_id $text,
    means $text NOT NULL,
    outcome $text NOT NULL,
    failed_check $text,
    detail $text,
    who $text,
    claims $text,
    address $text NOT NULL,
    user_agent $text NOT NULL,
    reference $text NOT NULL
)
--
CREATE INDEX sign_in_account ON sign_in (account_id, seq)
--
CREATE INDEX sign_in_connection ON sign_in (account_id, connection_id, seq)
--
CREATE INDEX sign_in_user ON sign_in (account_id, user_id, seq) WHERE user_id IS NOT NULL
--
CREATE INDEX sign_in_reference ON sign_in (account_id, reference, seq)
--
CREATE TABLE "user" (
    seq $serial,
    id $text NOT NULL UNIQUE,
    account_id $text NOT NULL,
    connection_id $text,
    status $text NOT NULL,
    user_name $text NOT NULL,
    user_name_fold $text NOT NULL,
    external_id $text,
    display_name $text,
    display_name_fold $text,
    search_text $text NOT NULL,
    document $text NOT NULL,
    role $text,
    access $text,
    hold_id $text,
    claims $text,
    by_sign_in bigint NOT NULL DEFAULT 0,
    last_sign_in_at bigint,
    access_losses bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
) $hot
--
CREATE UNIQUE INDEX user_name_unique ON "user" (account_id, user_name_fold) WHERE status <> 'deleted'
--
CREATE INDEX user_page ON "user" (connection_id, id) WHERE status <> 'deleted'
--
CREATE INDEX user_not_active ON "user" (account_id, connection_id, id) WHERE status <> 'active' AND status <> 'deleted'
--
CREATE INDEX user_account_page ON "user" (account_id, id)
--
CREATE INDEX user_local_name ON "user" (connection_id, user_name_fold) WHERE connection_id IS NULL AND status <> 'deleted'
--
CREATE INDEX user_external_id ON "user" (connection_id, external_id, id) WHERE status <> 'deleted'
--
CREATE INDEX user_display_name ON "user" (connection_id, display_name_fold, id) WHERE status <> 'deleted'
--
CREATE INDEX user_updated ON "user" (connection_id, updated_at) WHERE status <> 'deleted'
--
[sqlite] CREATE VIRTUAL TABLE user_search USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'trigram', detail = none)
--
[sqlite] CREATE VIRTUAL TABLE user_search_terms USING fts5vocab ('user_search', 'row')
--
[postgres] CREATE EXTENSION IF NOT EXISTS pg_trgm
--
[postgres] CREATE INDEX user_search ON "user" USING gin (search_text gin_trgm_ops) WHERE status <> 'deleted'
--
CREATE TABLE user_key (
    connection_id $text NOT NULL,
    attribute $text NOT NULL,
    value $text NOT NULL,
    user_id $text NOT NULL REFERENCES "user" (id),
    PRIMARY KEY (connection_id, attribute, value, user_id)
) $clustered
--
CREATE INDEX user_key_user ON user_key (user_id)
--
CREATE TABLE "group" (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    connection_id $text NOT NULL REFERENCES connection (id),
    display_name $text NOT NULL,
    display_name_fold $text NOT NULL,
    external_id $text,
    document $text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) $hot
--
CREATE UNIQUE INDEX group_name_unique ON "group" (connection_id, display_name_fold)
--
CREATE INDEX group_page ON "group" (connection_id, id)
--
CREATE INDEX group_external_id ON "group" (connection_id, external_id, id)
--
CREATE TABLE membership (
    group_id $text NOT NULL REFERENCES "group" (id),
    member_id $text NOT NULL,
    member_kind $text NOT NULL,
    event_id $text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (group_id, member_id)
) $clustered
--
CREATE INDEX membership_member ON membership (member_id, group_id)
--
CREATE INDEX membership_nested ON membership (member_id) WHERE member_kind = 'Group'
--
[postgres] CREATE FUNCTION groups_above(member text, deepest bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    packed text;
BEGIN
    WITH RECURSIVE up (id, depth) AS (
        SELECT group_id, 1 FROM membership WHERE member_id = member
        UNION
        SELECT m.group_id, up.depth + 1
        FROM up CROSS JOIN LATERAL (SELECT group_id FROM membership WHERE member_id = up.id OFFSET 0) m
        WHERE up.depth <= deepest
    )
    SELECT string_agg(x.id || chr(29) || x.depth || chr(29) || (SELECT to_json(g.display_name)::text FROM "group" g WHERE g.id = x.id), chr(28))
    INTO packed
    FROM (SELECT id, MIN(depth) AS depth FROM up GROUP BY id) x;
    RETURN packed;
END
$$
--
CREATE TABLE counter (
    connection_id $text NOT NULL,
    kind $text NOT NULL,
    stripe bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (connection_id, kind, stripe)
) $hot
--
CREATE TABLE rule (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    position bigint NOT NULL,
    name $text NOT NULL,
    body $text NOT NULL,
    created_at bigint NOT NULL
)
--
CREATE UNIQUE INDEX rule_position ON rule (account_id, position)
--
CREATE TABLE rule_version (
    account_id $text NOT NULL REFERENCES account (id),
    version bigint NOT NULL,
    rules $text NOT NULL,
    event_id $text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (account_id, version)
)
--
CREATE TABLE recompute (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL REFERENCES account (id),
    users $text,
    pass bigint NOT NULL,
    after_user $text NOT NULL,
    done bigint NOT NULL,
    lease_until bigint,
    event_id $text NOT NULL,
    cause $text,
    forced bigint NOT NULL DEFAULT 0,
    found $text,
    created_at bigint NOT NULL
)
--
CREATE TABLE worker (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL,
    connection_id $text,
    user_id $text,
    name $text NOT NULL,
    name_fold $text NOT NULL,
    sid $text,
    desired $text,
    digest $text,
    keep bigint NOT NULL,
    desired_version bigint NOT NULL,
    desired_at bigint NOT NULL,
    event_id $text NOT NULL,
    footprint $text NOT NULL,
    superseded $text NOT NULL,
    applied_version bigint,
    unsure bigint NOT NULL,
    state $text NOT NULL,
    lane bigint NOT NULL,
    attempts bigint NOT NULL,
    due_at bigint,
    lease_until bigint,
    lease_owner $text,
    last_error $text,
    in_step_at bigint,
    removed_at bigint,
    created_at bigint NOT NULL
) $hot
--
CREATE UNIQUE INDEX worker_name_unique ON worker (account_id, name_fold)
--
CREATE INDEX worker_user ON worker (user_id) WHERE user_id IS NOT NULL
--
CREATE INDEX worker_access ON worker (connection_id) WHERE desired IS NOT NULL
--
CREATE INDEX worker_sid ON worker (account_id, sid) WHERE sid IS NOT NULL
--
CREATE INDEX worker_due ON worker (account_id, lane, due_at) WHERE due_at IS NOT NULL
--
CREATE TABLE settled (
    account_id $text NOT NULL,
    slot bigint NOT NULL,
    copy_id $text NOT NULL,
    workers bigint NOT NULL,
    PRIMARY KEY (account_id, slot, copy_id)
)
--
CREATE TABLE copy (
    id $text NOT NULL PRIMARY KEY,
    version $text NOT NULL,
    paused bigint NOT NULL,
    seen_at bigint NOT NULL
)
--
CREATE TABLE receipt (
    seq $serial,
    account_id $text NOT NULL,
    connection_id $text,
    user_id $text NOT NULL,
    name $text NOT NULL,
    name_fold $text NOT NULL,
    worker_id $text,
    version bigint,
    reason $text NOT NULL,
    event_id $text NOT NULL,
    accepted_at bigint NOT NULL,
    refused_at bigint NOT NULL,
    unavailable_at bigint,
    removed_at bigint,
    verified_at bigint,
    ending $text,
    ended_at bigint,
    alerted_at bigint
)
--
CREATE INDEX receipt_account ON receipt (account_id, seq)
--
CREATE INDEX receipt_connection ON receipt (connection_id, seq)
--
CREATE INDEX receipt_period ON receipt (connection_id, accepted_at, seq)
--
CREATE INDEX receipt_user ON receipt (user_id, seq)
--
CREATE INDEX receipt_name ON receipt (account_id, name_fold, seq)
--
CREATE INDEX receipt_open ON receipt (account_id, seq) WHERE ended_at IS NULL
--
CREATE INDEX receipt_worker ON receipt (worker_id) WHERE ended_at IS NULL
--
CREATE INDEX receipt_unalerted ON receipt (accepted_at) WHERE ended_at IS NULL AND alerted_at IS NULL
--
CREATE TABLE inventory (
    account_id $text NOT NULL PRIMARY KEY,
    next_at bigint NOT NULL,
    walk_id $text,
    lease_until bigint,
    started_at bigint,
    finished_at bigint,
    summary $text,
    last_error $text
) $hot
--
CREATE TABLE finding (
    account_id $text NOT NULL,
    subject $text NOT NULL,
    walk_id $text NOT NULL,
    class $text NOT NULL,
    name $text NOT NULL,
    worker_id $text,
    detail $text NOT NULL,
    handed_over bigint NOT NULL,
    first_at bigint NOT NULL,
    PRIMARY KEY (account_id, subject)
) $clustered
--
CREATE INDEX finding_class ON finding (account_id, class, subject)
--
CREATE TABLE hold (
    id $text NOT NULL PRIMARY KEY,
    account_id $text NOT NULL,
    connection_id $text NOT NULL,
    kind $text NOT NULL,
    status $text NOT NULL,
    beyond $text NOT NULL,
    opened_at bigint NOT NULL,
    decided_at bigint
)
--
CREATE UNIQUE INDEX hold_open ON hold (connection_id, kind) WHERE status = 'open'
--
CREATE INDEX hold_account ON hold (account_id, id)
--
CREATE INDEX hold_account_open ON hold (account_id, id) WHERE status = 'open'
--
CREATE TABLE held (
    hold_id $text NOT NULL REFERENCES hold (id),
    user_id $text NOT NULL,
    state $text NOT NULL,
    loses $text NOT NULL,
    event_id $text NOT NULL,
    held_at bigint NOT NULL,
    decided_at bigint,
    decided_by $text,
    PRIMARY KEY (hold_id, user_id)
) $clustered
--
CREATE INDEX held_waiting ON held (hold_id, user_id) WHERE state = 'held'
--
CREATE TABLE hold_cause (
    hold_id $text NOT NULL REFERENCES hold (id),
    event_id $text NOT NULL,
    cause $text NOT NULL,
    at bigint NOT NULL,
    people bigint NOT NULL,
    PRIMARY KEY (hold_id, event_id)
) $clustered
--
CREATE TABLE loss (
    connection_id $text NOT NULL,
    kind $text NOT NULL,
    user_id $text NOT NULL,
    at bigint NOT NULL,
    gone bigint NOT NULL,
    PRIMARY KEY (connection_id, kind, user_id)
) $clustered
--
CREATE INDEX loss_window ON loss (connection_id, kind, at)
--
CREATE TABLE audit_event (
    seq $serial,
    id $text NOT NULL,
    at bigint NOT NULL,
    account_id $text NOT NULL,
    connection_id $text,
    actor $text NOT NULL,
    request_id $text NOT NULL,
    action $text NOT NULL,
    target_kind $text NOT NULL,
    target_id $text NOT NULL,
    before $text,
    after $text
)
--
CREATE TABLE push (
    seq $serial,
    at bigint NOT NULL,
    account_id $text NOT NULL,
    connection_id $text NOT NULL,
    bearer $text NOT NULL,
    method $text NOT NULL,
    path $text NOT NULL,
    body $text,
    note $text,
    status bigint NOT NULL,
    failed bigint NOT NULL,
    scim_type $text,
    detail $text,
    latency_ms bigint NOT NULL,
    request_id $text NOT NULL,
    resource_id $text,
    people $text NOT NULL,
    ignored $text NOT NULL,
    failed_operations bigint NOT NULL,
    alike $text,
    times bigint NOT NULL
)
--
CREATE INDEX push_connection ON push (connection_id, seq)
--
CREATE UNIQUE INDEX push_alike ON push (alike) WHERE alike IS NOT NULL
--
CREATE INDEX push_failed ON push (connection_id, seq) WHERE failed = 1
--
CREATE TABLE push_read (
    account_id $text NOT NULL,
    connection_id $text NOT NULL,
    minute bigint NOT NULL,
    shape $text NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (connection_id, minute, shape)
) $clustered
--
CREATE INDEX audit_event_target ON audit_event (account_id, target_id, seq)
--
[sqlite] CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
--
[sqlite] CREATE TRIGGER audit_event_no_replace BEFORE INSERT ON audit_event WHEN EXISTS (SELECT 1 FROM audit_event WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
--
[sqlite] CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
--
[postgres] CREATE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
--
[postgres] CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()
"#;

const DOWN: &str = r#"
DROP TABLE sign_in
--
DROP TABLE login_throttle
--
DROP TABLE api_key
--
DROP TABLE one_time_link
--
DROP TABLE credential
--
DROP TABLE session
--
DROP TABLE push_read
--
DROP TABLE push
--
DROP TABLE receipt
--
DROP TABLE audit_event
--
[postgres] DROP FUNCTION audit_event_append_only
--
[postgres] DROP FUNCTION groups_above
--
DROP TABLE finding
--
DROP TABLE inventory
--
DROP TABLE loss
--
DROP TABLE hold_cause
--
DROP TABLE held
--
DROP TABLE hold
--
DROP TABLE worker
--
DROP TABLE recompute
--
DROP TABLE rule_version
--
DROP TABLE rule
--
DROP TABLE counter
--
DROP TABLE membership
--
DROP TABLE "group"
--
DROP TABLE user_key
--
[sqlite] DROP TABLE user_search_terms
--
[sqlite] DROP TABLE user_search
--
DROP TABLE "user"
--
DROP TABLE used_assertion
--
DROP TABLE sign_in_flow
--
DROP TABLE sso_link
--
DROP TABLE sso_domain
--
DROP TABLE broker
--
DROP TABLE sso
--
DROP TABLE access_token
--
DROP TABLE oauth_client
--
DROP TABLE scim_token
--
DROP TABLE connection
--
DROP TABLE account
--
DROP TABLE installation
--
[postgres] DROP FUNCTION locked_epoch
"#;
